"""Work that goes step by step as a test says, in PHP, sh, Python and C: see works/site/steps.php."""
import os
import subprocess
from urllib.parse import urlencode

import pytest

from conftest import until
from endings import WORKS

LANGUAGES = ("php", "sh", "python", "c")
PROGRAMS = os.path.join(WORKS, "programs")
WORKS_SITE = os.path.join(WORKS, "site")


@pytest.fixture(scope="session")
def steps_in_c(tmp_path_factory):
    binary = str(tmp_path_factory.mktemp("c") / "steps")
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-o", binary, os.path.join(PROGRAMS, "steps.c")], check=True)
    return binary


class Stepping:
    """One piece of work: its mark, and the files that its @ steps wait for."""

    count = 0

    def __init__(self, server, folder, language="php", binary=None):
        Stepping.count += 1
        self.server, self.language, self.binary = server, language, binary
        self.base = os.path.join(str(folder), f"steps{Stepping.count}")
        self.mark = self.base + ".mark"
        self.id = None

    def file(self, name):
        return f"{self.base}.{name}"

    def go(self, name="go"):
        open(self.file(name), "w").close()

    def path(self, *steps):
        """Of the site's script that does them; @name waits for go(name)."""
        return "/steps.php?" + urlencode([("mark", self.mark), *(("step[]", s) for s in self.real(steps))])

    def real(self, steps):
        return [("@" + self.file(s[1:])) if s[0] == "@" else s for s in steps]

    def target(self, *steps):
        if self.language == "php":
            return {"target": self.path(*steps)}
        program = {"sh": "steps.sh", "python": "steps.py"}.get(self.language)
        return {"argv": [os.path.join(PROGRAMS, program) if program else self.binary, self.mark, *self.real(steps)]}

    def send(self, *steps, **job):
        r = self.server.control("POST", "/v1/jobs", {**self.target(*steps), **job})
        assert r.status == 202, r.text
        self.id = r.json["id"]
        return self

    def notes(self, word):
        try:
            with open(self.mark) as f:
                lines = [line.split() for line in f.read().splitlines()]
        except OSError:
            return []
        return [w[2:] for w in lines if len(w) > 1 and w[1] == word]

    def begun(self):
        """Waits until it has begun; its pid."""
        return int(until(lambda: self.notes("begin"), "the beginning")[0][0])

    def status(self):
        return self.server.get(f"/.sendoff/jobs/{self.id}")

    def await_progress(self, text):
        until(lambda: self.status().headers.get("x-progress") == text, f"X-Progress: {text}")

    def log(self):
        return self.server.control("GET", f"/v1/jobs/{self.id}/log").text

    def await_log(self, text):
        until(lambda: text in self.log(), f"{text!r} in the log")

    def cancel(self):
        r = self.server.control("POST", f"/v1/jobs/{self.id}/cancel")
        assert r.status == 202, r.text

    def record(self):
        return self.server.wait(self.id)
