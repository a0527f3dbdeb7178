"""What comes then: a job's targets for its success, its failure, or either. They are jobs, stored with the end of the job that
they tell of.

SENDOFF_THEN_ROUNDS sets how many times the server is killed (10 when not set).
"""
import collections
import json
import os
import random
import time

import pytest

from conftest import Server, finish, until
from stepping import WORKS_SITE
from target import Target

ROUNDS = int(os.environ.get("SENDOFF_THEN_ROUNDS", "10"))
FINAL = ("succeeded", "failed", "dead", "cancelled")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("then"), WORKS_SITE, ["--async-rate", "0", "--retry-backoff", "20ms"], 3).start()
    yield server
    finish(server)


@pytest.fixture
def target():
    target = Target()
    yield target
    target.close()


def send(server, **job):
    r = server.control("POST", "/v1/jobs", job)
    assert r.status == 202, r.text
    return r.json["id"]


def all_jobs(server):
    jobs, cursor = [], ""
    while cursor is not None:
        page = server.control("GET", f"/v1/jobs?limit=1000&cursor={cursor}").json
        jobs, cursor = jobs + page["jobs"], page["next"]
    return jobs


def told_of(server, job):
    """The jobs that tell of this one, in their end."""
    return [server.wait(j["id"]) for j in all_jobs(server) if j["then_of"] == job]


class Ears:
    """Three then-targets of the site, and what came to each."""

    def __init__(self, folder):
        self.marks = {when: folder / when for when in ("success", "failure", "always")}

    def targets(self, *whens):
        return {when: f"/then.php?mark={self.marks[when]}" for when in whens or self.marks}

    def heard(self, when):
        mark = self.marks[when]
        return [json.loads(line) for line in mark.read_text().splitlines()] if mark.exists() else []

    def counts(self):
        return tuple(len(self.heard(when)) for when in ("success", "failure", "always"))


@pytest.fixture
def ears(tmp_path):
    return Ears(tmp_path)


ENDS = {  # how the job ends, and which of (success, failure, always) hear of it
    "succeeded": ({"argv": ["true"]}, (1, 0, 1)),
    "failed": ({"argv": ["false"]}, (0, 1, 1)),
    "succeeded, a script": ({"target": "/hello.php"}, (1, 0, 1)),
    "failed, a script": ({"target": "/answer.php?answer[]=500&mark=/dev/null"}, (0, 1, 1)),
    "dead by its retries": ({"argv": ["sh", "-c", "exit 75"], "retry": {"max": 2, "backoff": "10ms"}}, (0, 1, 1)),
    "succeeded after retries": ({"argv": ["sh", "-c", "[ $SENDOFF_RUN = 3 ] || exit 75"], "retry": {"max": 5, "backoff": "10ms"}}, (1, 0, 1)),
    "dead by crashes, as one that the kernel kills for want of memory": ({"argv": ["sh", "-c", "kill -9 $$"]}, (0, 1, 1)),
    "its time was up": ({"argv": ["sleep", "60"], "time_limit": 0.3}, (0, 1, 1)),
    "not startable": ({"argv": ["/no/such/program"]}, (0, 1, 1)),
}


@pytest.mark.parametrize("ending", ENDS)
def test_who_hears_of_an_end(server, ears, ending):
    job, counts = ENDS[ending]
    record = server.wait(send(server, **job, then=ears.targets()))
    told = told_of(server, record["id"])
    assert len(told) == sum(counts) and all(t["state"] == "succeeded" and t["run"] == 1 for t in told)
    assert ears.counts() == counts
    assert record["state"] == ending.split(" ")[0].rstrip(",") or ending in ("its time was up", "not startable")


def test_what_it_is_told_is_the_jobs_record(server, ears):
    job = send(server, target="/hello.php", headers={"X-Own": "1"}, time_limit=77, then=ears.targets("always"))
    record = server.wait(job)
    told, = told_of(server, job)
    assert told["method"] == "POST" and told["runner"] == "fastcgi" and told["target"] == ears.targets()["always"]
    heard, = ears.heard("always")
    assert heard["method"] == "POST" and heard["type"] == "application/json" and heard["job"] == told["id"]
    body = heard["body"]
    assert body.pop("result") == record["location"] + "/result"
    took = body.pop("duration_ms")
    assert isinstance(took, int) and 0 <= took < 60000
    assert {k: body[k] for k in body} == {k: record[k] for k in body}
    assert set(record) - set(body) == set(), "the record has more than what was told"
    no_result, = [h["body"] for h in [hear_of_a_cancelled_one(server, ears)]]
    assert no_result["result"] is None


def hear_of_a_cancelled_one(server, ears):
    job = send(server, argv=["true"], delay=3600, then=ears.targets("failure"))
    assert server.control("POST", f"/v1/jobs/{job}/cancel").json["state"] == "cancelled"
    told_of(server, job)
    return ears.heard("failure")[-1]


def test_a_cancelled_queued_job_tells_of_it(server, ears):
    job = send(server, argv=["true"], delay="10m", then=ears.targets())
    assert server.job(job)["state"] == "scheduled"
    assert server.control("POST", f"/v1/jobs/{job}/cancel").status == 200
    told_of(server, job)
    assert ears.counts() == (0, 1, 1)
    body = ears.heard("failure")[0]["body"]
    assert body["state"] == "cancelled" and body["runs"] == [] and body["run"] == 0


def test_a_running_job_that_is_cancelled_tells_of_it_when_it_has_ended(server, ears, tmp_path):
    mark = tmp_path / "mark"
    job = send(server, argv=["sh", "-c", "trap 'echo asked >>\"$0\"; exit 3' TERM; echo begun >>\"$0\"; while :; do sleep 0.05; done", str(mark)],
               then=ears.targets())
    until(lambda: mark.exists() and "begun" in mark.read_text(), "its beginning")
    assert server.control("POST", f"/v1/jobs/{job}/cancel").status == 202
    assert server.wait(job)["state"] == "cancelled"
    told_of(server, job)
    assert ears.counts() == (0, 1, 1) and "asked" in mark.read_text()
    assert ears.heard("always")[0]["body"]["connection_status"] == 1


def test_a_held_job_tells_nothing_until_somebody_has_decided(server, ears):
    job = send(server, argv=["sh", "-c", "[ $SENDOFF_RUN != 1 ] || kill -9 $$"], on_crash="hold", then=ears.targets())
    until(lambda: server.job(job)["state"] == "held", "the held job")
    assert not [j for j in all_jobs(server) if j["then_of"] == job]
    assert server.control("POST", f"/v1/jobs/{job}/retry").status == 200
    assert server.wait(job)["state"] == "succeeded"
    told_of(server, job)
    assert ears.counts() == (1, 0, 1)


def test_a_url_and_a_program_can_be_told(server, target, tmp_path):
    target.answer("hook")
    out = tmp_path / "out"
    job = send(server, target="/hello.php", then={"success": f"{target.url}/hook", "always": f"exec:sh -c 'cat >{out}'"})
    record = server.wait(job)
    told = told_of(server, job)
    assert sorted(t["runner"] for t in told) == ["exec", "http"] and all(t["state"] == "succeeded" for t in told)
    call, = target.calls("hook")
    assert call.method == "POST" and call.headers["content-type"] == "application/json"
    assert json.loads(call.body)["id"] == json.loads(out.read_text())["id"] == record["id"]


def test_a_target_that_is_not_there_is_asked_again(server, target):
    target.answer("hook", 503, then=(200,))
    job = send(server, target="/hello.php", then={"always": f"{target.url}/hook"})
    server.wait(job)
    told, = told_of(server, job)
    assert told["state"] == "succeeded" and told["run"] == 2 and len(target.calls("hook")) == 2


def test_a_then_job_has_no_then_of_its_own_and_its_failure_changes_nothing(server):
    job = send(server, target="/hello.php", then={"always": "exec:false"})
    record = server.wait(job)
    told, = told_of(server, job)
    assert told["state"] == "failed" and server.job(job) == record
    assert not [j for j in all_jobs(server) if j["then_of"] == told["id"]]


@pytest.mark.parametrize("then,word", [({"success": "/missing.php"}, "target"), ({"success": "x"}, "success"), ({"later": "/hello.php"}, "later"),
                                       ("/hello.php", "then"), ({"always": 5}, "always")])
def test_a_then_that_cannot_be_is_refused(server, then, word):
    before = len(all_jobs(server))
    r = server.control("POST", "/v1/jobs", {"target": "/hello.php", "then": then})
    assert r.status in (400, 422) and word in r.json["detail"]
    assert len(all_jobs(server)) == before


# ---- crashes of the server

def test_a_job_whose_server_died_too_often_tells_of_it(make_server, tmp_path, ears):
    server = make_server(WORKS_SITE)
    mark = tmp_path / "mark"
    job = send(server, argv=["sh", "-c", "echo begun >>\"$0\"; while :; do sleep 0.05; done", str(mark)], then=ears.targets())
    for crash in range(1, 4):
        until(lambda: mark.exists() and mark.read_text().count("begun") == crash, f"run {crash}")
        assert not [j for j in all_jobs(server) if j["then_of"] == job]
        server.kill()
        server.start()
    record = server.wait(job)
    assert (record["state"], record["crashes"]) == ("dead", 3) and "crash 3 of at most 3" in record["reason"]
    told = told_of(server, job)
    assert len(told) == 2 and ears.counts() == (0, 1, 1) and ears.heard("failure")[0]["body"]["state"] == "dead"


def test_kill_9_at_any_moment_neither_loses_nor_doubles_what_comes_then(make_server, tmp_path):
    server = make_server(WORKS_SITE, workers=3, args=["--async-rate", "0", "--retry-backoff", "10ms", "--programs", "3"])
    rng = random.Random(3)
    kinds = [{"target": "/hello.php"}, {"argv": ["true"]}, {"argv": ["false"]}, {"argv": ["sh", "-c", "exit 75"], "retry": {"max": 1, "backoff": "5ms"}},
             {"target": "/hello.php", "delay": "200ms"}]
    receipts = []
    for _ in range(ROUNDS):
        until_ = time.monotonic() + rng.uniform(0.02, 0.4)  # the moment of the kill is meant to be arbitrary
        while time.monotonic() < until_:
            job = rng.choice(kinds)
            r = server.control("POST", "/v1/jobs", {**job, "then": {"always": f"/then.php?mark={tmp_path}/mark"}})
            receipts.append(r.json["id"])
            if rng.random() < 0.2:
                server.control("POST", f"/v1/jobs/{rng.choice(receipts)}/cancel")
        server.kill()
        server.start()

    def drained():
        return server.control("GET", "/v1/jobs?state=ready,running,scheduled,held&limit=1").json["jobs"] == []
    until(drained, "the end of all jobs", 120)
    jobs = {j["id"]: j for j in all_jobs(server)}
    tell = collections.Counter(j["then_of"] for j in jobs.values() if j["then_of"])
    assert len(receipts) > ROUNDS
    for receipt in receipts:
        assert jobs[receipt]["state"] in FINAL and tell[receipt] == 1, (jobs[receipt], tell[receipt])
    assert set(tell) == set(receipts)
    heard = collections.Counter()
    for line in (tmp_path / "mark").read_text().splitlines():
        body = json.loads(line)["body"]
        heard[body["id"]] += 1
        assert body["state"] == jobs[body["id"]]["state"], "it was told of another end than the one that is recorded"
    for job in jobs.values():
        if job["then_of"] and job["state"] == "succeeded":
            assert 1 <= heard[job["then_of"]] <= 1 + job["crashes"], job
