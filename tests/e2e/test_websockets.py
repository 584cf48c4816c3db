"""WebSockets of the clients that users have, before backends that see only HTTP.

Every test is played by `websockets` (PyPI) and `ws` (npm), before a Django site with django-grip
and a Flask application with gripcontrol. Both clients offer permessage-deflate and give the
connection up when a ping is not answered; browsers and Express are in test_chat.py.
"""

import json
import random
import re
import sys
import urllib.request

import pytest
from conftest import HERE, Site, runserver
from gripcontrol import GripPubControl, WebSocketMessageFormat
from program import free_port
from proxy import PUSHPIN, start_proxy
from pubcontrol import Item

# 100 KB, more than either side reads at once, and still half of that when it is compressed.
# Debian's Pushpin cannot pass on as much over HTTP.
LARGE = random.Random(7).randbytes(5_000 if PUSHPIN else 50_000).hex()


def flask(address):
    """Flask's own server: what to run, and what it prints when it listens."""
    host, port = address.rsplit(":", 1)
    return ["-m", "flask", "run", "--host", host, "--port", port], "Running on"


# What runs them, and the reason that they close with: django-grip has no way to say one.
SERVERS = {"django": runserver, "flask": flask}
REASONS = {"django": "", "flask": "you asked"}


class Backend(Site):
    """A site whose WebSockets come over HTTP, and the proxy before it."""

    def __init__(self, name, programs, folder):
        port = free_port()
        proxy = start_proxy(programs, folder / "proxy", port, options=",over_http")
        self.reason = REASONS[name]
        super().__init__(programs, folder, proxy, port, server=SERVERS[name], project=HERE / name)

    def publish(self, **form):
        """Publishes by its library; arguments are those of gripcontrol's WebSocketMessageFormat."""
        url = f"http://127.0.0.1:{self.port}/publish/"
        urllib.request.urlopen(url, json.dumps(form).encode(), timeout=20).close()

    def says(self, pattern):
        """Waits for a line of its output."""
        self._server.wait_for(pattern)


class Client:
    """A client's program, told what to send."""

    def __init__(self, program):
        self.program = program
        self.tell = program.tell

    def hears(self, line):
        """Waits for exactly this line."""
        self.program.wait_for(f"^{re.escape(line)}$")

    def opens(self):
        """Waits until it is connected."""
        self.program.wait_for("^open ")

    def closed(self):
        """Waits for the end. Returns close code and reason as the client has them."""
        end = self.program.wait_for("^closed (.*)$")[1].split(" ", 1)
        return int(end[0]), end[1].strip()


@pytest.fixture(params=SERVERS)
def backend(request, programs, tmp_path):
    """Each of the backends in turn."""
    return Backend(request.param, programs, tmp_path)


@pytest.fixture(params=["websockets", "ws"])
def start_client(request, programs, clients):
    """Starts a client of each library in turn."""

    def start(proxy, path="/socket/", *protocols, ping_every=0.2):
        url = proxy.url(path).replace("http:", "ws:")
        if request.param == "ws":
            return Client(clients.node("websocket.mjs", url, ping_every, *protocols))
        argv = [sys.executable, HERE / "websocket_client.py", url, ping_every, *protocols]
        return Client(programs.start(argv))

    return start


@pytest.fixture
def client(backend, start_client):
    """A client that is connected."""
    client = start_client(backend.proxy)
    client.opens()
    return client


def test_messages_come_back_as_they_were(client):
    """Text and binary, empty, beyond ASCII and large, in the order in which they were sent."""
    every_byte = bytes(range(256)).hex()
    lines = ["text hello", "text ", "text Grüße \U0001f44b", f"binary {every_byte}", "binary "]
    lines += [f"text {LARGE}", f"binary {LARGE}", "text last"]
    for line in lines:
        client.tell(line)
    client.hears("text last")
    told = client.program.lines
    assert [line for line in told if line.startswith(("text", "binary"))] == lines


@pytest.mark.skipif(PUSHPIN, reason="Debian's Pushpin does not compress")
def test_compression_is_agreed_on(backend, start_client):
    """What both libraries offer by default is taken."""
    client = start_client(backend.proxy)
    client.program.wait_for("^open permessage-deflate -$")
    client.tell("text " + "again and again " * 1000)
    client.hears("text " + "again and again " * 1000)


@pytest.mark.skipif(PUSHPIN, reason="Debian's Pushpin leaves pings to the backend")
def test_the_liveness_check_holds(client):
    """One pong for each ping, whether the backend answers pings (Django) or not (Flask)."""
    for number in range(1, 6):
        client.tell(f"text {number}")
        client.hears(f"pong {number}")
        client.program.look_again()
        client.hears(f"text {number}")
        client.program.look_again()
    pongs = [line for line in client.program.lines if line.startswith("pong ")]
    assert pongs == [f"pong {number}" for number in range(1, len(pongs) + 1)]
    assert client.program.running()


def test_what_is_published_reaches_every_client(backend, start_client):
    """Text and binary, small and large, in order, between the answers of the backend itself."""
    readers = [start_client(backend.proxy) for _ in range(2)]
    for reader in readers:
        reader.opens()
    backend.publish(content="hello")
    backend.publish(content="binary", binary=True)
    readers[0].tell("text mine")
    readers[0].hears("text mine")
    backend.publish(content=LARGE)
    for reader in readers:
        for line in ("text hello", f"binary {b'binary'.hex()}", f"text {LARGE}"):
            reader.program.look_again()
            reader.hears(line)
    assert readers[1].program.count("mine") == 0


def test_a_published_close_ends_the_connection(backend, client):
    """With the code and the reason that were published."""
    backend.publish(action="close", code=4009, reason="kicked out")
    assert client.closed() == (4009, "kicked out")


@pytest.mark.skipif(PUSHPIN, reason="Debian's Pushpin knows no refresh")
def test_a_refresh_asks_the_backend_again(backend, client):
    """Without any event of the client's."""
    backend.publish(action="refresh")
    client.hears("text asked again")


def test_the_backend_closes(backend, client):
    """After what it said before, with its code, and where the library can say one, its reason."""
    client.tell("text before")
    client.tell("text leave 4002")
    client.hears("text before")
    assert client.closed() == (4002, backend.reason)


@pytest.mark.skipif(PUSHPIN, reason="Debian's Pushpin drops the connection")
def test_a_close_that_says_no_code(programs, tmp_path, start_client):
    """django-grip's `close()` writes the code 0, which may not be sent: an empty frame instead."""
    backend = Backend("django", programs, tmp_path)
    client = start_client(backend.proxy)
    client.opens()
    # It knows no reasons: where the client gives one, django-grip does not see the code either.
    client.tell("close 4001 good bye")
    assert client.closed() == (1005, "")


def test_the_client_closes(client):
    """The backend sees the code and answers with the same."""
    client.tell("text before")
    client.tell("close 4001")
    client.hears("text before")
    assert client.closed() == (4001, "")


def test_a_client_that_vanishes(backend, client):
    """The backend is told, and what was kept of the client is gone."""
    client.program.stop()
    backend.says("^client vanished$")


def test_the_proxy_keeps_what_the_backend_notes(client):
    """Meta: set by one answer, in every request after it."""
    client.tell("text name Ann")
    client.tell("text sent in the same request or the next")
    client.hears("text sent in the same request or the next")
    client.tell("text who?")
    client.hears("text Ann")


def test_a_refusal_is_relayed(backend, start_client):
    """Status and body."""
    client = start_client(backend.proxy, "/refused/")
    client.program.wait_for("^refused 403 not today$")


def test_a_subprotocol_is_agreed_on(programs, tmp_path, start_client):
    """By the backend, which django-grip has no way to do."""
    backend = Backend("flask", programs, tmp_path)
    client = start_client(backend.proxy, "/socket/", "chat.v2", "chat.v1")
    client.program.wait_for("^open .* chat.v2$")


def test_nobody_is_disconnected_when_the_backend_is_restarted(backend, start_client):
    """Publishes reach clients meanwhile; what they say waits until the backend is back.

    The client does not ping: a request that the backend has when it ends is not repeated.
    """
    client = start_client(backend.proxy, ping_every=1000)
    client.opens()
    client.tell("text before")
    client.hears("text before")
    backend.stop()
    grip = GripPubControl({"control_uri": backend.proxy.control})
    grip.publish("room", Item(WebSocketMessageFormat("while down")), blocking=True)
    client.hears("text while down")
    client.tell("text meanwhile")
    backend.start()
    client.hears("text meanwhile")
    backend.publish(content="after")
    client.hears("text after")
    client.program.stop()
    backend.says("^client vanished$")
