"""The publishers that users have, unchanged: `gripcontrol` (Python), `@fanoutio/grip` (Node)."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from gripcontrol import GripPubControl, HttpResponseFormat, HttpStreamFormat
from proxy import start_proxy


class Holds(BaseHTTPRequestHandler):
    """A backend in a few lines: `/stream` and `/poll` are held on the channel `news`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802, the name http.server calls
        """Answers with an instruct."""
        stream = self.path == "/stream"
        body = b"hello\n" if stream else b"nothing yet\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Grip-Hold", "stream" if stream else "response")
        self.send_header("Grip-Channel", "news")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


@contextmanager
def serve(handler):
    """Serves a backend on a port of its own, for as long as the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(programs, tmp_path):
    """A proxy before that backend."""
    with serve(Holds) as port:
        yield start_proxy(programs, tmp_path, port)


@pytest.fixture(params=["gripcontrol", "@fanoutio/grip"])
def publish(request, proxy, clients):
    """Publishes a text as `stream` or `response` by one of the libraries."""
    if request.param == "gripcontrol":
        return python_publisher(proxy)

    def publish(form, text):
        node = clients.node("publish.mjs", proxy.control, form, "news", text)
        assert node.wait_end() == 0, node.output()

    return publish


def python_publisher(proxy):
    """The Python library as its README uses it."""
    grip = GripPubControl({"control_uri": proxy.control})

    def publish(form, text):
        send = grip.publish_http_stream if form == "stream" else grip.publish_http_response
        send("news", text, blocking=True)

    return publish


def test_stream_gets_what_is_published(proxy, publish, clients):
    """The hold's own content first, then each text as it was published, in order."""
    curl = clients.curl(proxy.url("/stream"))
    curl.wait_for("^hello$")
    publish("stream", "one\n")
    publish("stream", "two\n")
    curl.wait_for("^two$")
    assert curl.lines[-3:] == ["hello", "one", "two"]


def test_long_poll_is_answered_by_what_is_published(proxy, publish, clients):
    """A text alone: status 200 and the text as the whole body."""
    curl = clients.curl(proxy.url("/poll"))
    until_answered(curl, lambda: publish("response", "news"))
    assert curl.lines[0].split()[1] == "200"
    assert curl.lines[-1] == "news"


def test_long_poll_answer_has_the_published_status_and_headers(proxy, clients):
    """gripcontrol's full response format."""
    grip = GripPubControl({"control_uri": proxy.control})
    form = HttpResponseFormat(code=201, reason="Made", headers={"X-News": "yes"}, body="made")
    curl = clients.curl(proxy.url("/poll"))
    until_answered(curl, lambda: grip.publish_http_response("news", form, blocking=True))
    assert curl.lines[0] == "HTTP/1.1 201 Made"
    assert "x-news: yes" in [line.lower() for line in curl.lines]
    assert curl.lines[-1] == "made"


def test_stream_ends_when_it_is_closed(proxy, clients):
    """gripcontrol's close action."""
    grip = GripPubControl({"control_uri": proxy.control})
    curl = clients.curl(proxy.url("/stream"))
    curl.wait_for("^hello$")
    grip.publish_http_stream("news", HttpStreamFormat(close=True), blocking=True)
    assert curl.wait_end() == 0, curl.output()


def until_answered(curl, publish):
    """Publishes until the client is answered.

    A long-poll shows nobody from outside that it is held, and what is published before is for
    nobody; so the only honest way is to publish again. One answer alone can reach it.
    """
    for _ in range(100):
        publish()
        if curl.says_within("^HTTP/1.1 ", 0.2):
            assert curl.wait_end() == 0, curl.output()
            return
    raise AssertionError("never answered\n" + curl.output())
