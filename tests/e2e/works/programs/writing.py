#!/usr/bin/python3
"""writing.py MARK GO: prints all the time; notes when nobody takes it any more."""
import os
import sys
import time

mark, go = sys.argv[1:]
run = os.environ["SENDOFF_RUN"]


def note(what):
    with open(mark, "a") as f:
        f.write(f"{run} {what}\n")


note(f"begin {os.getpid()} {os.environ['SENDOFF_JOB']}")
try:
    while int(run) == 1 and not os.path.exists(go):
        os.write(1, b"something\n")
        time.sleep(0.05)
except BrokenPipeError:
    note("EPIPE")
    os._exit(3)
note("end")
