"""The examples of docs/ENDINGS.md do what the page says."""
import json
import re
import subprocess

import pytest

from conftest import Server, finish, until
from endings import DOCUMENT

EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", re.S)
PEOPLE = "ada\ngrace\nhedy\n"


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A folder with all of them, as files; programs are executable."""
    folder = tmp_path_factory.mktemp("examples")
    with open(DOCUMENT) as f:
        found = EXAMPLE.findall(f.read())
    for name, text in found:
        (folder / name).write_text(text)
        if name.endswith((".sh", ".py")):
            (folder / name).chmod(0o755)
    (folder / "report.php").write_text("<?php echo 'report to ', $_POST['to'];")
    (folder / "hello.php").write_text("<?php echo 'hello';")
    return folder, {name for name, _ in found}


@pytest.fixture(scope="module")
def server(examples, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), examples[0], ["--async-rate", "0"], 3).start()
    yield server
    finish(server)


def run(server, **job):
    r = server.control("POST", "/v1/jobs?wait=50", job)
    assert r.status == 200, r.text
    return r.json


def mailed(server, record, total):
    assert record["state"] == "succeeded", record
    assert record["progress"] == {"done": 3, "total": total, "note": "mailing"}
    assert server.result(record["id"]).text == "mailed ada\nmailed grace\nmailed hedy\n"


def test_progress_from_php(server):
    mailed(server, run(server, target="/mailing.php", body=PEOPLE, time_limit=60), 3)
    assert server.request("POST", "/mailing.php", PEOPLE).text.count("mailed") == 3  # in the foreground it speaks, too


def test_progress_from_sh(server, examples, tmp_path):
    (tmp_path / "people").write_text(PEOPLE)
    mailed(server, run(server, argv=[str(examples[0] / "mailing.sh"), str(tmp_path / "people")]), 3)


def test_progress_from_python(server, examples):
    mailed(server, run(server, argv=[str(examples[0] / "mailing.py")], body=PEOPLE), 3)


def test_progress_from_c(server, examples, tmp_path):
    binary = str(tmp_path / "mailing")
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-o", binary, str(examples[0] / "mailing.c")], check=True)
    mailed(server, run(server, argv=[binary], body=PEOPLE), None)
    assert subprocess.run([binary], input=b"", env={}).returncode == 75


def test_the_shutdown_function_says_how_it_ended(server, examples):
    log = examples[0] / "ends.log"
    assert run(server, target="/how-it-ends.php?seconds=0")["state"] == "succeeded"
    assert run(server, target="/how-it-ends.php?seconds=60", time_limit=0.4)["connection_status"] == 2
    assert log.read_text() == "to its end\ntimed out\n"


def test_the_job_is_accepted_and_its_then_targets_are_told(server, examples):
    log = examples[0] / "told.log"
    record = run(server, **json.loads((examples[0] / "job.json").read_text()))
    assert record["state"] == "succeeded" and server.result(record["id"]).text == "report to ada"
    until(log.exists, "told.php being told")
    assert re.fullmatch(r"/report\.php\?month=11 succeeded after \d+ ms\n", log.read_text())


@pytest.mark.parametrize("name", ["order-old.php", "order-new.php"])
def test_the_classic_recipe_lets_the_caller_go_and_works_on(server, examples, name):
    log = examples[0] / "orders.log"
    log.unlink(missing_ok=True)
    r = server.get("/" + name)
    assert r.status == 200 and r.text == "Thank you for your order.\n" and not log.exists()
    job = until(lambda: next((j for j in server.control("GET", "/v1/jobs").json["jobs"] if name in j["target"]), None), "the listed run")
    assert job["state"] == "running"
    record = server.wait(job["id"])
    assert (record["state"], record["connection_status"]) == ("succeeded", 0) and log.read_text() == "mailed\n"


def test_every_example_of_the_page_is_run_here(examples):
    with open(__file__) as f:
        text = f.read()
    assert examples[1] and all(name in text for name in examples[1]), examples[1]
