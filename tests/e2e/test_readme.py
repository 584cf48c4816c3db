"""README, followed from top to bottom: its commands are run as they stand there, and say what it
says they do. A comment before each block says what is done with it, see `Reader`; ports are
replaced by free ones, and `cargo run --release` by the program under test."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml
from gripcontrol import GripPubControl, parse_grip_uri

from conftest import NODE
from markdown import blocks
from program import DEADLINE, free_port
from proxy import PUSHPIN, ROOT, SHIPPED_CONF, gripd_program

pytestmark = pytest.mark.skipif(PUSHPIN, reason="README is gripd's")

README = ROOT / "README.md"

# Which ports README uses: gripd's two, and those of backends.
PORTS = re.compile(r"\b(?:7999|5561|8000|3000|3001)\b")

# Found before all others: the commands of README that the test gives a place to be.
COMMANDS = {
    # What README says to build is built already. Files of this machine (/etc) do not count.
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
    """Somebody who does what README says. What the words of a comment mean:

    serve [PORT]     the command goes on; it says what the next block shows, or listens there
    run              the command ends well, and has said what the next block shows
    more             what was served last now goes on like this
    append FILE      the block goes to the end of that file
    manifest, skip   see the tests below, and the reason that follows
    """

    def __init__(self, programs, folder):
        self._programs = programs
        self._folder = folder
        self._ports = {}
        self._gripd = None
        self._last = None
        commands = folder / "bin"
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
        }

    def replaced(self, text):
        """Text of README with free ports, and another folder for /etc/pushpin."""

        def port(match):
            return str(self._ports.setdefault(match[0], free_port()))

        return PORTS.sub(port, text).replace("/etc/pushpin", f"{self._folder}/pushpin")

    def follow(self, block, shown):
        """Does what a block says; `shown` is what README says it prints, or None."""
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
        """A line of README as it ends a line of output; `…` is anything."""
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
    """Each block that something is done with, and what README says it prints."""
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.words:
            is_shown = after and after.kind == "text" and not after.words
            yield block, after if is_shown else None


def test_readme_can_be_followed(programs, tmp_path):
    """From the first command to the last."""
    (tmp_path / "pushpin").mkdir()
    (tmp_path / "pushpin" / "pushpin.conf").write_text(SHIPPED_CONF)
    (tmp_path / "pushpin" / "routes").write_text("* test\n")
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    project = [sys.executable, "-m", "django", "startproject", "mysite", tmp_path]
    subprocess.run(project, check=True)
    reader = Reader(programs, tmp_path)
    for block, shown in told(blocks(README)):
        if block.says not in ("skip", "manifest"):
            print(f"README, line {block.line}: {block.words}")
            reader.follow(block, shown)


def test_every_block_is_followed():
    """Or says why not, or shows what the one before it prints."""
    found = blocks(README)
    for before, block in zip([None, *found], found, strict=False):
        known = ("serve", "run", "more", "append", "manifest", "skip")
        if not block.words:
            assert block.kind == "text" and before.words, f"line {block.line}: no comment"
        else:
            assert block.says in known, f"line {block.line}: {block.words}"
            assert block.says != "skip" or len(block.words) > len("skip: "), block.line


def test_the_manifests_suit_the_image(programs):
    """Names lead somewhere, gripd takes the environment, and the probes are answered."""
    (block,) = [block for block in blocks(README) if block.says == "manifest"]
    deployment, *services = yaml.safe_load_all(block.text)
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"clients": 7999, "control": 5561}
    for service in services:
        assert service["spec"]["selector"] == labels
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] in ports
    assert template["spec"]["terminationGracePeriodSeconds"] > 8 + 1

    env = {entry["name"]: entry["value"] for entry in container["env"]}
    keys = {"GRIPD_GRIP_SIG_KEY", "GRIPD_CONTROL_JWT_ISS", "GRIPD_CONTROL_JWT_KEY"}
    assert set(env) == {"target", *keys}
    argv = [gripd_program(), "image", "--config", "/dev/null", "--port", "0"]
    control = free_port()
    gripd = programs.start([*argv, "--control", str(control)], env=env)
    gripd.wait_for("try: ")
    assert gripd.count("changeme") + gripd.count(" WARN ") == 0, gripd.output()
    for probe in (container["livenessProbe"], container["readinessProbe"]):
        assert ports[probe["httpGet"]["port"]] == 5561
        url = f"http://127.0.0.1:{control}{probe['httpGet']['path']}"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            assert answer.status == 200
    # As publishers are told to call the second service.
    (url,) = re.findall(r"# publishers: GRIP_URL=(\S+)", block.text)
    service = f"{services[1]['metadata']['name']}:5561"
    assert service in url
    grip = GripPubControl(parse_grip_uri(url.replace(service, f"127.0.0.1:{control}")))
    grip.clients[0].requests_session.headers["Host"] = service
    grip.publish_http_stream("test", "hello", blocking=True)
    with pytest.raises(ValueError, match="Unauthorized"):
        GripPubControl({"control_uri": f"http://127.0.0.1:{control}"}).publish_http_stream(
            "test", "hello", blocking=True
        )
