"""The transcripts in README.md, replayed: what it shows is what one gets, but for ids, times and ports."""
import os
import re
import subprocess

import pytest

from conftest import PATIENCE, ROOT, SENDOFF

BLOCK = re.compile(r"<!-- replay -->\n```console\n(.*?)```", re.S)

VARYING = [
    (r"[0-9a-hjkmnp-tv-z]{28}", "ID"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "DATE"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME"),
    (r"\b\d+\.\d+ ms\b", "N ms"),
    (r" +\d+\.\ds(?= )", " Ns"),
    (r"(worked +)\d+\.\d\d s in \d+ steps", r"\1N s"),
    (r"/tmp/\S*?/?sendoff-example/report-\S+\.txt", "KEPT"),
    (r'"state":"(ready|running)"', '"state":"STATE"'),
    (r"Content-Length: \d+", "Content-Length: N"),
]


def settled(text):
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return text.replace("\r", "").strip()


def steps(block):
    """(command, expected output) of a console block"""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


@pytest.mark.parametrize("readme", ["README.md"])
def test_the_transcripts_are_true(make_server, readme):
    with open(os.path.join(ROOT, readme)) as f:
        blocks = BLOCK.findall(f.read())
    assert len(blocks) >= 3
    server = make_server(os.path.join(ROOT, "examples", "site"), workers=4)
    env = {**os.environ}
    for block in blocks:
        for command, expected in steps(block):
            if command.startswith("export SENDOFF_SERVER="):
                env["SENDOFF_SERVER"] = f"unix:{server.socket}"
                continue
            command = command.replace("http://127.0.0.1:8080", server.url).replace("build/sendoff", SENDOFF)
            done = subprocess.run(command, shell=True, env=env, capture_output=True, text=True, timeout=PATIENCE)
            assert done.returncode == 0, (command, done.stderr)
            assert settled(done.stdout) == settled(expected), command
            if "send /report.php" in command and "--wait" not in command:
                server.wait(done.stdout.split()[1])
