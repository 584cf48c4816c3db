"""Runs the commands of `tests/run`, and says how a step of it may end."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

COMMAND_LIMIT = 900  # seconds that one command may take, if its step does not say otherwise

LAST_LINES = 60  # of a failed command's output, shown again at the end


class Failed(Exception):
    """A step did not pass; the text says why, `last` what its command printed last."""

    def __init__(self, why, last=()):
        super().__init__(why)
        self.last = list(last)


class Skipped(Exception):
    """A step cannot run here; the text says why."""


def run(*argv, cwd=ROOT, env=None, limit=COMMAND_LIMIT):
    """Runs a command, its output shown; raises Failed unless it ends in time with exit code 0."""
    argv = [str(arg) for arg in argv]
    print("$ " + " ".join(argv), flush=True)
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that it can be ended as a whole
        )
    except OSError as why:
        raise Failed(f"{argv[0]}: {why.strerror}") from why
    last = deque(maxlen=LAST_LINES)
    shower = threading.Thread(target=show, args=(process.stdout, last), daemon=True)
    shower.start()
    code, why = None, f"took more than {limit} s"
    try:
        code = process.wait(limit)
        why = f"exit code {code}"
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            end(process)
        # What a command left running may hold the pipe open: it is not waited for.
        shower.join(5)
    if code != 0:
        raise Failed(f"{why}: {' '.join(argv[:3])}", last)


def show(output, last):
    """Prints a command's output as it comes, and keeps its last lines."""
    for line in output:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        last.append(line.decode(errors="replace").rstrip())


def end(process):
    """Interrupts a command, which lets it stop its own children, then ends what is left of it."""
    for kind in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
