"""Runs the commands of `tests/run`, and says how a step of it may end."""

import os
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

COMMAND_LIMIT = 900  # seconds that one command may take, if its step does not say otherwise


class Failed(Exception):
    """A step did not pass; the text says why."""


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
            start_new_session=True,  # a group of its own, so that it can be ended as a whole
        )
    except OSError as why:
        raise Failed(f"{argv[0]}: {why.strerror}") from why
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        raise Failed(f"took more than {limit} s: {' '.join(argv[:3])}") from None
    finally:
        if process.poll() is None:
            end(process)
    if code:
        raise Failed(f"exit code {code}: {' '.join(argv[:3])}")


def end(process):
    """Interrupts a command, which lets it stop its own children, then ends what is left of it."""
    for kind in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, kind)
            process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
