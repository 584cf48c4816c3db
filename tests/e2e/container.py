"""The image's entry point in namespaces of its own, with the mounts, the network and the user that a
container has; and Docker's files, which say how it is started."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from dockerfile_parse import DockerfileParser

from proxy import ROOT, gripd_program, with_hosts

CONTROL, CLIENTS = "5561", "7999"

# Everything is read-only, /etc holds nothing but what is mounted, network and processes are a
# container's own, and so is the user. The program and its words follow.
CONTAINER = """
set -e
mount -o remount,bind,ro /
mount --bind "$0" /etc
mount -o remount,bind,ro /etc
ip link set lo up
exec setpriv --reuid 1001 --regid 1001 --clear-groups --bounding-set=-all --no-new-privs \\
    env --ignore-environment --chdir=/ "$@"
"""
NAMESPACES = ["--mount", "--net", "--pid", "--fork", "--mount-proc"]


class Container:
    """gripd in namespaces of its own, with these files as /etc/pushpin (None: nothing there).

    `names`, beside localhost, are names of the container itself.
    """

    def __init__(self, programs, etc, words, *, files=None, environment=(), names=()):  # noqa: PLR0913
        self._programs = programs
        etc.mkdir()
        self.hosts = etc / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
        if files is not None:
            (etc / "pushpin").mkdir()
            for name, text in files.items():
                (etc / "pushpin" / name).write_text(text)
                (etc / "pushpin" / name).chmod(0o444)
                os.chown(etc / "pushpin" / name, 4711, 4711)
            (etc / "pushpin").chmod(0o555)
        shutil.copy(gripd_program(), etc / "program")
        etc.chmod(0o755)
        argv = ["unshare", *NAMESPACES, "--kill-child", "sh", "-c", CONTAINER, etc]
        self.program = programs.start([*argv, *environment, "/etc/program", *words])
        self.program.wait_for(r"control: http://")
        parent = self.program.process.pid
        (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        self.first_process = int(child)

    def stop(self):
        """Ends it as an engine does; returns the exit code."""
        os.kill(self.first_process, signal.SIGTERM)
        return self.program.wait_end()

    def beside(self):
        """A command that runs another in this container's network, and with its names."""
        return ["nsenter", "--target", self.first_process, "--net", *with_hosts(self.hosts)]

    def inside(self, *argv, mounts=False):
        """Starts a program in the container's network, if wanted with its files, too."""
        enter = ["nsenter", "--target", self.first_process, "--net"]
        enter += ["--mount", "--pid", "env", "--ignore-environment"] if mounts else []
        return self._programs.start([*enter, *argv])

    def curl(self, *options):
        """What curl says of an answer: its status behind its body."""
        curl = self.inside("curl", "-sS", "--noproxy", "*", "-w", "%{http_code}", *options)
        curl.wait_end()
        return curl.lines


@pytest.fixture
def container(programs, tmp_path, dockerfile):
    """Starts gripd as the image does, with a container's command."""
    missing = [name for name in ("ip", "nsenter", "setpriv", "unshare") if not shutil.which(name)]
    trial = ["unshare", *NAMESPACES, "true"]
    if missing or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip(f"needs root and namespaces; missing: {missing or 'the right to make them'}")

    def start(files=None, environment=(), command=("pushpin", "--merge-output"), names=()):
        words = [*exec_form(dockerfile["ENTRYPOINT"])[1:], *command]
        wanted = {"files": files, "environment": environment, "names": names}
        return Container(programs, tmp_path / "etc", words, **wanted)

    return start


@pytest.fixture(scope="session")
def dockerfile():
    """The instructions of the last stage, by name; the first one's by `build NAME`."""
    found, prefix = {}, ""
    for step in DockerfileParser(path=str(ROOT)).structure:
        name = step["instruction"]
        if name == "FROM":
            prefix = "build " if " AS build" in step["value"] else ""
        assert prefix or name in {"COMMENT", "COPY"} or name not in found, f"{name} twice"
        found[prefix + name] = step["value"]
    return found


@pytest.fixture(scope="session")
def services():
    """The services of the compose file."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def exec_form(value):
    """The words of an instruction that needs no shell."""
    words = json.loads(value[value.index("[") :])
    assert all(isinstance(word, str) for word in words)
    return words
