"""Counts gripd's instructions per delivery and per proxied request, and compares them with what
is committed: timings cannot be asserted, these can. `benches/instructions.rs` is what runs.

    tests/instructions.py            compares with benches/instructions.json
    tests/instructions.py --write    writes that file, after a change that is meant

The counts are of the release build on x86-64 with AVX2, which libraries look for, under valgrind.
They are those of gripd's own code and its libraries, not of the kernel.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "benches" / "instructions.json"

ROUNDS = (100, 600)  # what the start costs is in both, and so not in their difference
PER_ROUND = {"delivery": 100, "request": 1}  # units of work in one round
ALLOWED = 0.05  # of the committed count, more or less
LIMIT = 300  # seconds for one run under valgrind


def built():
    """Builds the program; returns where it is."""
    argv = ["cargo", "bench", "--no-run", "--locked", "--bench", "instructions"]
    argv += ["--message-format=json"]
    output = subprocess.run(argv, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "instructions" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo built no program called instructions")


def total(program, what, rounds):
    """Instructions of one run."""
    with tempfile.TemporaryDirectory() as folder:
        argv = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        argv += [program, what, str(rounds)]
        # The same environment everywhere: its size moves the stack.
        env = {"PATH": os.environ["PATH"], "TMPDIR": folder}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=LIMIT)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"valgrind failed:\n{done.stderr[-2000:]}")
    return int(found[1])


def count(program, what):
    """Instructions per unit of work."""
    few, many = (total(program, what, rounds) for rounds in ROUNDS)
    return round((many - few) / (ROUNDS[1] - ROUNDS[0]) / PER_ROUND[what])


def main(args):
    """Compares, or writes. Returns the exit code."""
    program = built()
    counted = {what: count(program, what) for what in PER_ROUND}
    if args == ["--write"]:
        COMMITTED.write_text(json.dumps(counted, indent=2) + "\n")
        return 0
    committed = json.loads(COMMITTED.read_text())
    bad = False
    for what, found in counted.items():
        change = found / committed[what] - 1
        print(f"{what}: {found:,} instructions, {change:+.1%} of {committed[what]:,}")
        bad |= abs(change) > ALLOWED
    if bad:
        print(
            f"more than {ALLOWED:.0%} off: find out why (callgrind_annotate tells where); if it is "
            "meant, run tests/instructions.py --write and say in the commit what changed"
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
