#!/usr/bin/python3
"""steps.py MARK STEP...: @FILE waits for a file, !TEXT prints, *N writes N bytes without a newline to SENDOFF_CONTROL, anything
else is a line for it."""
import os
import signal
import sys
import time

mark, *steps = sys.argv[1:]


def note(what):
    with open(mark, "a") as f:
        f.write(f"{os.environ['SENDOFF_RUN']} {what}\n")


def asked_to_end(signum, frame):
    note("TERM")
    sys.exit(3)


signal.signal(signal.SIGTERM, asked_to_end)
note(f"begin {os.getpid()} {os.environ['SENDOFF_JOB']}")
for step in steps:
    if step[0] == "@":
        while not os.path.exists(step[1:]):
            time.sleep(0.02)
    elif step[0] == "!":
        print(step[1:], end="", flush=True)
    else:
        with open(os.environ["SENDOFF_CONTROL"], "w") as control:
            control.write("x" * int(step[1:]) if step[0] == "*" else step + "\n")
note("end")
