"""Tried again: when, how often, how long after, and by whom."""
import email.utils
import hashlib
import time
from datetime import datetime
from urllib.parse import urlencode

import pytest

from conftest import Server, finish, until
from stepping import WORKS_SITE
from target import Target, nobody

SOON = {"backoff": "20ms"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("retry"), WORKS_SITE, ["--async-rate", "0", "--grace", "2s", "--retry-backoff", "20ms"], 4).start()
    yield server
    finish(server)


@pytest.fixture(scope="module")
def target():
    target = Target()
    yield target
    target.close()


@pytest.fixture
def name(request):
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


def send(server, **job):
    r = server.control("POST", "/v1/jobs", job)
    assert r.status == 202, r.text
    return r.json["id"]


def at(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def outcomes(record):
    return [(r["outcome"], r["status"] or r["exit_code"]) for r in record["runs"]]


def await_scheduled(server, job):
    return until(lambda: (r := server.job(job))["state"] == "scheduled" and r, "the pause before its retry")


def pause(record):
    """From the end of the last run to when the next one is due."""
    return at(record["run_at"]) - at(record["runs"][-1]["ended_at"])


def answers(tmp_path, *texts, **more):
    return "/answer.php?" + urlencode([("mark", tmp_path / "mark"), *(("answer[]", t) for t in texts), *more.items()])


# ---- what is tried again

@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
def test_a_url_whose_answer_may_pass_is_asked_again(server, target, name, status):
    target.answer(name, status, then=(200,))
    record = server.wait(send(server, target=f"{target.url}/{name}", body="the body"))
    assert record["state"] == "succeeded" and outcomes(record) == [("failed", status), ("succeeded", 200)]
    assert record["retries_left"] == 2 and record["crashes"] == 0
    calls = target.calls(name)
    assert [c.body for c in calls] == [b"the body"] * 2 and [c.headers["sendoff-run"] for c in calls] == ["1", "2"]
    assert {c.headers["idempotency-key"] for c in calls} == {record["id"]}


@pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 410, 422])
def test_a_url_whose_answer_is_final_is_not(server, target, name, status):
    target.answer(name, status)
    record = server.wait(send(server, target=f"{target.url}/{name}", retry={"max": 5, **SOON}))
    assert record["state"] == "failed" and outcomes(record) == [("failed", status)] and str(status) in record["reason"]


def test_a_url_that_cannot_be_reached_is_asked_again_until_the_budget_is_used_up(server):
    record = server.wait(send(server, target=nobody() + "/x", retry={"max": 2, **SOON}))
    assert record["state"] == "dead" and record["run"] == 3 and record["retries_left"] == 0 and record["status"] is None
    assert "retry 2 of at most 2" in record["reason"] and all(r["reason"] for r in record["runs"])


def test_the_servers_own_budget_counts_where_the_job_has_none(make_server, target, name):
    server = make_server(WORKS_SITE, args=["--retries", "1", "--retry-backoff", "10ms"])
    target.answer(name, 500)
    record = server.wait(send(server, target=f"{target.url}/{name}"))
    assert record["state"] == "dead" and record["run"] == 2 and "at most 1" in record["reason"]


def test_without_retries_it_is_failed_not_dead(server, target, name):
    target.answer(name, 503)
    record = server.wait(send(server, target=f"{target.url}/{name}", retry={"max": 0}))
    assert (record["state"], record["run"], record["retries_left"]) == ("failed", 1, 0)


def test_exit_75_asks_for_another_try_and_other_codes_do_not(server, tmp_path):
    count = tmp_path / "count"
    script = 'cat >>"$0"; echo >>"$0"; [ "$SENDOFF_RUN" -lt 3 ] && exit 75; exit 0'
    record = server.wait(send(server, argv=["sh", "-c", script, str(count)], body="in"))
    assert record["state"] == "succeeded" and outcomes(record) == [("failed", 75), ("failed", 75), ("succeeded", 0)] or \
        [r["exit_code"] for r in record["runs"]] == [75, 75, 0]
    assert count.read_text() == "in\n" * 3 and "try again later" in record["runs"][0]["reason"]
    for code in (1, 2, 74, 76, 127):
        record = server.wait(send(server, argv=["sh", "-c", f"exit {code}"], retry={"max": 3, **SOON}))
        assert (record["state"], record["run"], record["exit_code"]) == ("failed", 1, code), record
    record = server.wait(send(server, argv=["sh", "-c", "exit 75"], retry={"max": 2, **SOON}))
    assert record["state"] == "dead" and record["run"] == 3 and "retry 2 of at most 2" in record["reason"]


def test_a_broken_script_is_not_run_again_unless_somebody_said_so(server, tmp_path):
    record = server.wait(send(server, target=answers(tmp_path, "500", "200")))
    assert (record["state"], record["run"]) == ("failed", 1)
    record = server.wait(send(server, target=answers(tmp_path, "500", "200"), retry={"max": 3, **SOON}, body="b" * 70000))
    assert record["state"] == "succeeded" and outcomes(record) == [("failed", 500), ("succeeded", 200)]
    md5 = hashlib.md5(b"b" * 70000).hexdigest()
    assert (tmp_path / "mark").read_text().splitlines()[-2:] == [f"1 {md5}", f"2 {md5}"]


def test_a_time_limit_is_a_failure_that_may_pass(server, target, name, tmp_path):
    job = {"time_limit": 0.4, "retry": {"max": 1, **SOON}}
    ids = [send(server, target=answers(tmp_path, "200", forever=1), **job), send(server, target=f"{target.url}/{name}", **job),
           send(server, argv=["sleep", "60"], **job)]
    for record in map(server.wait, ids):
        assert record["state"] == "dead" and [r["outcome"] for r in record["runs"]] == ["stopped"] * 2, record
        assert [r["connection_status"] for r in record["runs"]] == [2, 2] and "400ms" in record["reason"]
    record = server.wait(send(server, target=answers(tmp_path, "200", forever=1), time_limit=0.4))
    assert (record["state"], record["run"]) == ("failed", 1)


# ---- what the run itself says

@pytest.mark.parametrize("words,least,most", [
    ("500|Sendoff-Retry: 30s", 30, 30.1), ("500|Sendoff-Retry: 10m", 600, 600.1), ("404|Sendoff-Retry: 45", 45, 45.1), ("429|Retry-After: 40", 40, 40.1),
    ("503|Retry-After: 3500", 3500, 3500.1), ("503|Retry-After: 999999999", 3600, 3600), ("429|Retry-After: 5|Sendoff-Retry: 50s", 50, 50.1),
])
def test_a_script_asks_for_another_try_and_says_when(server, tmp_path, words, least, most):
    job = send(server, target=answers(tmp_path, words, "200"))
    record = await_scheduled(server, job)
    assert least <= pause(record) + 0.001 and pause(record) <= most + 0.001, record
    assert record["retries_left"] == 2 and record["waiting_for"].startswith("retry 1 of 3 in ")
    r = server.control("POST", f"/v1/jobs/{job}/retry")  # a person does not want to wait
    assert r.status == 200 and r.json["state"] in ("ready", "running") and r.json["id"] == job
    record = server.wait(job)
    assert record["state"] == "succeeded" and record["run"] == 2


def test_a_date_says_when_as_well(server, target, name, tmp_path):
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    target.answer(name, 503, [f"Retry-After: {date}"])
    ids = [send(server, target=f"{target.url}/{name}"), send(server, target=answers(tmp_path, f"503|Retry-After: {date}"))]
    for job in ids:
        record = await_scheduled(server, job)
        assert abs(at(record["run_at"]) - email.utils.parsedate_to_datetime(date).timestamp()) < 1.1
        assert server.control("POST", f"/v1/jobs/{job}/cancel").json["state"] == "cancelled"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_sendoff_retry_no_is_the_last_word(server, target, name, tmp_path, status):
    target.answer(name, status, ["Sendoff-Retry: no", "Retry-After: 1"])
    record = server.wait(send(server, target=f"{target.url}/{name}", retry={"max": 5, **SOON}))
    assert (record["state"], record["run"]) == ("failed", 1)
    record = server.wait(send(server, target=answers(tmp_path, f"{status}|Sendoff-Retry: no|Retry-After: 1"), retry={"max": 5, **SOON}))
    assert (record["state"], record["run"]) == ("failed", 1)


def test_what_succeeded_is_not_run_again_whatever_it_says(server, tmp_path):
    record = server.wait(send(server, target=answers(tmp_path, "200|Sendoff-Retry: 1s|Retry-After: 1"), retry={"max": 5}))
    assert (record["state"], record["run"]) == ("succeeded", 1)


def test_a_wish_that_is_none_is_told_in_the_log(server, tmp_path):
    job = send(server, target=answers(tmp_path, "500|Sendoff-Retry: perhaps"))
    assert server.wait(job)["state"] == "failed"
    assert "Sendoff-Retry is neither" in server.control("GET", f"/v1/jobs/{job}/log").text


# ---- how long after

def test_pauses_grow_to_their_maximum_and_are_never_longer(server, target, name):
    target.answer(name, 500)
    record = server.wait(send(server, target=f"{target.url}/{name}", retry={"max": 6, "backoff": "100ms", "backoff_max": "400ms"}))
    assert record["state"] == "dead" and record["run"] == 7
    runs = record["runs"]
    for n, (earlier, later) in enumerate(zip(runs, runs[1:])):
        took = at(later["started_at"]) - at(earlier["ended_at"])
        assert took <= min(0.1 * 2 ** n, 0.4) + 3, (n, took)  # 3 s: the machine may be busy; the pause itself is a unit test's


def test_the_first_pause_is_at_most_the_backoff(server, target, name):
    target.answer(name, 500)
    ids = [send(server, target=f"{target.url}/{name}", retry={"max": 1, "backoff": "1000s"}) for _ in range(20)]
    pauses = [pause(await_scheduled(server, job)) for job in ids]
    assert all(0 <= p <= 1000.1 for p in pauses) and max(pauses) - min(pauses) > 100, pauses  # jittered over the whole of it
    for job in ids:
        assert server.control("POST", f"/v1/jobs/{job}/cancel").status == 200


def test_a_pause_outlives_the_server(make_server, target, name):
    server = make_server(WORKS_SITE)
    target.answer(name, 500, then=(200,))
    job = send(server, target=f"{target.url}/{name}", retry={"max": 3, "backoff": "1500ms"})
    until(lambda: server.job(job)["run"] == 1 and server.job(job)["state"] != "running", "its first run")
    server.kill()
    server.start()
    record = server.wait(job)
    assert record["state"] == "succeeded" and record["crashes"] == 0 and record["run"] == 2


# ---- crashes have a budget of their own

def test_crashes_do_not_use_up_retries(server, tmp_path):
    script = 'case $SENDOFF_RUN in 1|3) kill -9 $$;; 2) exit 75;; esac'
    record = server.wait(send(server, argv=["sh", "-c", script], retry={"max": 1, **SOON}))
    assert record["state"] == "succeeded", record
    assert [r["outcome"] for r in record["runs"]] == ["crashed", "failed", "crashed", "succeeded"]
    assert record["crashes"] == 2 and record["retries_left"] == 0


def test_three_crashes_are_enough(server):
    record = server.wait(send(server, argv=["sh", "-c", "kill -SEGV $$"], retry={"max": 9}))
    assert (record["state"], record["crashes"], record["run"], record["signal"]) == ("dead", 3, 3, 11)
    assert "crash 3 of at most 3" in record["reason"] and record["retries_left"] == 9


@pytest.mark.parametrize("job", [{"argv": ["sh", "-c", "[ $SENDOFF_RUN != 1 ] || kill -9 $$"]}, {"target": "/die-once.php"}], ids=["program", "script"])
def test_on_crash_hold_waits_for_a_person(make_server, tmp_path, job):
    site = tmp_path / "site"
    site.mkdir()
    (site / "die-once.php").write_text("<?php if ($_SERVER['SENDOFF_RUN'] == 1) posix_kill(getmypid(), 9); echo 'second';")
    server = make_server(site)
    held = send(server, **job, on_crash="hold")
    record = until(lambda: (r := server.job(held))["state"] == "held" and r, "the held job")
    assert record["waiting_for"] == "a person" and record["crashes"] == 1 and record["run"] == 1 and record["finished_at"] is None
    server.kill()
    server.start()
    assert server.job(held)["state"] == "held"
    r = server.control("POST", f"/v1/jobs/{held}/retry")
    assert r.status == 200 and r.json["id"] == held
    record = server.wait(held)
    assert (record["state"], record["run"], record["crashes"], record["retry_of"]) == ("succeeded", 2, 0, None)


# ---- a person's retry

def test_what_has_ended_is_done_again_by_a_new_job(server, tmp_path):
    mark = tmp_path / "mark"
    old = send(server, target=answers(tmp_path, "404"), body="x" * 100000, headers={"X-Own": "1"}, time_limit=50)
    before = server.wait(old)
    assert before["state"] == "failed"
    r = server.control("POST", f"/v1/jobs/{old}/retry")
    assert r.status == 202 and set(r.json) == {"id", "location", "state", "retry_of"} and r.json["retry_of"] == old
    record = server.wait(r.json["id"])
    assert record["id"] != old and record["retry_of"] == old and record["run"] == 1 and record["options"] == before["options"]
    lines = mark.read_text().splitlines()
    assert len(lines) == 2 and lines[0] == lines[1] == "1 " + hashlib.md5(b"x" * 100000).hexdigest()
    again = server.control("POST", f"/v1/jobs/{old}/retry")
    assert again.status == 409 and record["id"] in again.json["detail"]
    after = server.job(old)
    assert after["retried_as"] == record["id"] and {**after, "retried_as": None} == {**before, "retried_as": None}
    second = server.control("POST", f"/v1/jobs/{record['id']}/retry")
    assert second.status == 202 and server.wait(second.json["id"])["retry_of"] == record["id"]


def test_what_is_under_way_cannot_be_retried(server, tmp_path):
    go = tmp_path / "go"
    job = send(server, argv=["sh", "-c", 'while [ ! -e "$0" ]; do sleep 0.05; done', str(go)])
    until(lambda: server.job(job)["state"] == "running", "the run")
    r = server.control("POST", f"/v1/jobs/{job}/retry")
    assert r.status == 409 and "running" in r.json["detail"]
    go.touch()
    assert server.wait(job)["state"] == "succeeded"
    assert server.control("POST", "/v1/jobs/00000001av341d66hjd70zvak847/retry").status == 404
    assert server.control("GET", f"/v1/jobs/{job}/retry").status == 405


def test_of_two_at_once_one_is_accepted(server):
    import threading
    job = send(server, argv=["false"])
    assert server.wait(job)["state"] == "failed"
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(server.control("POST", f"/v1/jobs/{job}/retry"))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(r.status for r in replies) == [202] + [409] * 7


def test_dead_jobs_are_driven_again_together(make_server, target, name):
    server = make_server(WORKS_SITE, args=["--retry-backoff", "10ms"])
    target.answer(name, 500)
    dead = [send(server, target=f"{target.url}/{name}", retry={"max": 1, **SOON}) for _ in range(5)]
    assert all(server.wait(j)["state"] == "dead" for j in dead)
    target.answer(name, 200)
    server.cli("retry", "--state", "dead", "--yes", check=0)
    new = [j for j in server.control("GET", "/v1/jobs?limit=100").json["jobs"] if j["retry_of"]]
    assert sorted(j["retry_of"] for j in new) == sorted(dead)
    assert all(server.wait(j["id"])["state"] == "succeeded" for j in new)
