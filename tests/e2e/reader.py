"""Somebody who does what a document says: its commands are run as they stand there, and say what
it says they do. A comment before each block says what is done with it, see `Reader`; ports are
replaced by free ones, and `cargo run --release` by the program under test."""

import os
import re
import socket
import sys
import time

from markdown import blocks
from program import DEADLINE, free_port
from proxy import gripd_program

# Documents that are read so, and where.
FOLLOWED = {
    "README.md": "test_readme.py",
    "docs/dashing.md": "test_dashing.py",
    "docs/flask.md": "test_guides.py",
    "docs/php.md": "test_guides.py",
    "docs/rails.md": "test_rails.py",
}

# Which ports the documents use: gripd's two, and those of backends.
PORTS = re.compile(r"\b(?:7999|5561|8000|3000|3001|3030)\b")

# Found before all others: the commands that the tests give a place to be.
COMMANDS = {
    # What is to be built is built already. Files of this machine (/etc) do not count.
    "gripd": """case "$*" in *--config*|*--route*) ;;
        *) [ -e routes ] || set -- --config /dev/null "$@" ;; esac
        exec "$GRIPD" "$@" """,
    "cargo": """[ "$1 $2" = "run --release" ] || exit 9; shift 2
        [ "$1" != -- ] || shift; exec gripd "$@" """,
    # Its progress would stand between the lines.
    "curl": """PATH=${PATH#*:} exec curl -sS --noproxy '*' "$@" """,
    "python": """exec "$PYTHON" "$@" """,
}


class Reader:
    """Somebody who does what a document says. What the words of a comment mean:

    serve [PORT]     the command goes on; it says what the next block shows, or listens there
    run              the command ends well, and has said what the next block shows
    more             what was served last now goes on like this
    append FILE      the block goes to the end of that file
    manifest, skip   see test_readme.py, and the reason that follows
    """

    def __init__(self, programs, folder, env=None):
        self._programs = programs
        self._folder = folder
        self._ports = {}
        self._gripd = None
        self._last = None
        commands = folder / "commands"
        commands.mkdir()
        for name, script in COMMANDS.items():
            (commands / name).write_text(f"#!/bin/sh\n{script}\n")
            (commands / name).chmod(0o755)
        self._env = {
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "GRIPD": str(gripd_program()),
            "PYTHON": sys.executable,
            "PYTHONDONTWRITEBYTECODE": "1",
            "GRIPD_LISTEN_HTTP": self.replaced("7999"),
            "GRIPD_CONTROL_HTTP": self.replaced("5561"),
            "GRIPD_LOG_DIR": "",  # that of Pushpin's settings may be one that can be written
            **{name: self.replaced(value) for name, value in (env or {}).items()},
        }

    def replaced(self, text):
        """Text of a document with free ports, and another folder for /etc/pushpin."""

        def port(match):
            return str(self._ports.setdefault(match[0], free_port()))

        return PORTS.sub(port, text).replace("/etc/pushpin", f"{self._folder}/pushpin")

    def follow(self, document):
        """Does what a document says, from its first block to its last."""
        for block, shown in told(blocks(document)):
            if block.says not in ("skip", "manifest"):
                print(f"{document.name}, line {block.line}: {block.words}")
                getattr(self, block.says)(block, shown)

    def serve(self, block, shown):
        """See above."""
        if block.text.startswith(("cargo", "gripd")):
            if self._gripd:
                self._gripd.stop()
            self._gripd = program = self.start("exec " + block.text)
        else:
            program = self.start("exec " + block.text)
        self._last = program
        if shown:
            self.expect(shown)
        else:
            self.listens(program, int(self.replaced(block.words.split()[1])))

    def run(self, block, shown):
        """See above."""
        program = self.start(block.text)
        assert program.wait_end() == 0, program.output()
        for line in shown.text.splitlines() if shown else []:
            program.wait_for(self.pattern(line))

    def more(self, block, _):
        """See above."""
        self.expect(block)

    def append(self, block, _):
        """See above."""
        file = self._folder / block.words.split()[1]
        with file.open("a") as end:
            end.write(self.replaced(block.text))

    def start(self, script):
        """Starts a command in the folder."""
        argv = ["sh", "-c", self.replaced(script)]
        return self._programs.start(argv, cwd=self._folder, env=self._env)

    def expect(self, shown):
        """Waits until what was served last has said all of it, in this order."""
        for line in shown.text.splitlines():
            self._last.wait_for(self.pattern(line))

    def pattern(self, line):
        """A line of a document as it ends a line of output; `…` is anything."""
        return ".*".join(map(re.escape, self.replaced(line).split("…"))) + "$"

    def listens(self, program, port):
        """Waits until the program listens on a port."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                socket.create_connection(("localhost", port), 1).close()
                return
            except OSError:
                assert program.running() and time.monotonic() < end, program.output()
                time.sleep(0.05)


def told(found):
    """Each block that something is done with, and what the document says it prints."""
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.words:
            is_shown = after and after.kind == "text" and not after.words
            yield block, after if is_shown else None
