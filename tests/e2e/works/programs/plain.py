#!/usr/bin/python3
"""plain.py MARK GO: a program that knows nothing of signals."""
import os
import sys
import time

mark, go = sys.argv[1:]
run = os.environ["SENDOFF_RUN"]


def note(what):
    with open(mark, "a") as f:
        f.write(f"{run} {what}\n")


note(f"begin {os.getpid()} {os.environ['SENDOFF_JOB']}")
while int(run) == 1 and not os.path.exists(go):
    time.sleep(0.05)
note("end")
