"""Child processes of the tests: started, watched line by line, and stopped by their own id."""

import os
import re
import signal
import socket
import subprocess
import threading

DEADLINE = 20  # seconds; far above what anything here needs, so that a slow machine passes


class Program:
    """A running child. Its output, standard error included, is kept as a list of lines."""

    def __init__(self, argv, *, cwd=None, env=None):
        self.argv = [str(arg) for arg in argv]
        self.lines = []
        self._next = 0
        self._ended = False
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            self.argv,
            cwd=cwd,
            env={**_inherited(), "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # its children form a group that `stop` can end
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern, deadline=DEADLINE):
        """Waits for a line that matches; the next call starts behind it. Returns the match."""
        match = self._search(pattern, deadline)
        if match is None:
            why = "ended" if self._ended else f"said nothing like it in {deadline} s"
            raise AssertionError(f"no {pattern!r}: program {why}\n{self.output()}")
        return match

    def look_again(self):
        """The next `wait_for` looks at all lines from the first on."""
        self._next = 0

    def says_within(self, pattern, deadline):
        """Like `wait_for`, but returns None where that fails."""
        return self._search(pattern, deadline)

    def count(self, text):
        """How many lines so far contain this text."""
        with self._news:
            return sum(text in line for line in self.lines)

    def wait_end(self, deadline=DEADLINE):
        """Waits until the program ends by itself; returns its exit code."""
        code = self.process.wait(deadline)
        self._reader.join(deadline)
        return code

    def tell(self, line):
        """Writes a line to its standard input."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def running(self):
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def output(self):
        """Command line and output so far, for people."""
        with self._news:
            return "\n".join(["$ " + " ".join(self.argv), *self.lines])

    def stop(self):
        """Asks it to end, insists after a while, and takes what is left of its group with it."""
        self.process.stdin.close()
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the usual case: no child outlived it

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\r\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _search(self, pattern, deadline):
        found = []

        def look():
            while self._next < len(self.lines):
                self._next += 1
                match = re.search(pattern, self.lines[self._next - 1])
                if match:
                    found.append(match)
                    return True
            return self._ended

        with self._news:
            self._news.wait_for(look, deadline)
        return found[0] if found else None


class Programs:
    """All children of one test; stopped at its end in reverse order, whatever happened."""

    def __init__(self):
        self._all = []

    def start(self, argv, **options):
        """Starts one."""
        program = Program(argv, **options)
        self._all.append(program)
        return program

    def stop_all(self):
        """Stops all and prints what they said (pytest shows it when the test failed)."""
        for program in reversed(self._all):
            program.stop()
            print(program.output())


def _inherited():
    """Our environment without `GRIPD_…`: those are settings of a gripd, or ours (`GRIPD_BIN`)."""
    return {key: value for key, value in os.environ.items() if not key.startswith("GRIPD_")}


def free_port():
    """A port that is free on both loopback addresses, so that either may be bound."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as four:
            port = four.getsockname()[1]
            if not has_ipv6():
                return port
            try:
                socket.create_server(("::1", port), family=socket.AF_INET6).close()
                return port
            except OSError:
                continue


def has_ipv6():
    """Whether this machine has the loopback address ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False
