"""Sockets that systemd would open: gripd takes them, and no others."""

import os
import socket
import subprocess
import sys
import urllib.request

import pytest
from proxy import gripd_program

# What systemd does between opening the sockets and starting the program (sd_listen_fds(3)).
STARTER = """
import os, sys
for at, fd in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(fd, 100 + at)
for at in range(sys.argv[1].count(",") + 1):
    os.dup2(100 + at, 3 + at)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def opened(tmp_path):
    """A TCP socket of both families for clients, and one in the file system for publishers."""
    clients = socket.create_server(("::1", 0), family=socket.AF_INET6)
    control = socket.socket(socket.AF_UNIX)
    control.bind(str(tmp_path / "control.sock"))
    control.listen()
    yield clients, control
    clients.close()
    control.close()


def test_sockets_handed_over_stand_in_for_the_usual_ones(opened, tmp_path):
    """Clients and publishers are served on them."""
    fds = ",".join(str(one.fileno()) for one in opened)
    argv = [sys.executable, "-c", STARTER, fds, str(gripd_program()), "--route", "* test"]
    env = {name: text for name, text in os.environ.items() if not name.startswith("GRIPD_")}
    env |= {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "http:control"}
    gripd = subprocess.Popen(
        argv,
        env=env,
        pass_fds=[one.fileno() for one in opened],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        said = []
        for line in gripd.stderr:
            said.append(line)
            if "try:" in line:
                break
        port = opened[0].getsockname()[1]
        assert any(f"clients: http://[::1]:{port}" in line for line in said), said
        with urllib.request.urlopen(f"http://[::1]:{port}/", timeout=20) as answer:
            assert answer.status == 200
        publisher = socket.socket(socket.AF_UNIX)
        publisher.settimeout(20)
        publisher.connect(str(tmp_path / "control.sock"))
        publisher.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert publisher.recv(100).startswith(b"HTTP/1.1 200")
        publisher.close()
    finally:
        gripd.terminate()
        gripd.stderr.close()
        assert gripd.wait(20) == 0
