"""Other people's clients of HTTP/2: the one of Node, and curl's. Both begin with it, without TLS."""

import json
import subprocess
import time
import urllib.request

import pytest
from program import DEADLINE
from proxy import start_gripd
from test_clients import Holds, serve

LARGE = 10 << 20


class Pages(Holds):
    """Beside what is held, a short page, a large one, and one that tells what it was sent."""

    def do_GET(self):  # noqa: N802, the name http.server calls
        """Answers at once, or with an instruct."""
        self.path = self.path.split("?")[0]
        pages = {"/page": b"page\n", "/large": bytes(LARGE)}
        if self.path not in pages:
            super().do_GET()
            return
        self._answer(pages[self.path])

    def do_POST(self):  # noqa: N802, the name http.server calls
        """Tells how much it was sent."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"%d bytes\n" % len(body))

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def gripd(programs, tmp_path):
    """gripd before that backend."""
    with serve(Pages) as port:
        yield start_gripd(programs, tmp_path, port, {})


@pytest.fixture
def curl(clients):
    """curl that begins with HTTP/2, if it can."""
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    if "HTTP2" not in version.stdout:
        pytest.skip("this curl does not speak HTTP/2")
    return lambda url, *options: clients.curl(url, "--http2-prior-knowledge", *options)


@pytest.fixture
def node(clients, gripd):
    """Node's client, asking for these paths on one connection."""
    return lambda *paths: clients.node("http2.mjs", gripd.url(""), *paths)


def publish(gripd, form, content):
    """Publishes a text on `news`; how many it reached."""
    item = {"channel": "news", f"http-{form}": content}
    body = json.dumps({"items": [item]}).encode()
    headers = {"Accept": "application/json"}
    request = urllib.request.Request(f"{gripd.control}/publish/", body, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["items"][0]["connections"]


def until_reached(gripd, form, content, count):
    """Publishes until it reaches so many: who is held, or no longer, shows in nothing else."""
    end = time.monotonic() + DEADLINE
    while publish(gripd, form, content) != count:
        assert time.monotonic() < end, f"never {count}"


def test_node_gets_all_it_asked_for_on_one_connection(gripd, node):
    """A page, a stream, a long-poll and a download, side by side; then more on the same one."""
    client = node("/page", "/stream", "/poll", "/large")
    client.wait_for(f"^/large end {LARGE}$")
    client.look_again()
    client.wait_for("^/page end 5$")
    client.look_again()
    client.wait_for("^/stream line hello$")
    for text in ("one", "two"):
        assert publish(gripd, "stream", {"content": text + "\n"}) == 1
        client.wait_for(f"^/stream line {text}$")
    until_reached(gripd, "response", {"body": "news\n"}, 1)
    client.wait_for("^/poll line news$")
    client.wait_for("^/poll end 5$")
    client.tell("get /page")
    client.wait_for("^/page line page$")
    publish(gripd, "stream", {"action": "close"})
    client.wait_for(r"^/stream end \d+$")
    client.tell("close")
    client.wait_for("^closed$")
    assert client.count("error") == 0 and client.count("failed") == 0, client.output()


def test_node_may_break_off_one_stream(gripd, node):
    """The others go on, and nobody is subscribed for it any more."""
    client = node("/stream", "/stream?2")
    for path in ("/stream", r"/stream\?2"):
        client.look_again()
        client.wait_for(f"^{path} head 200$")
    client.tell("reset /stream")
    until_reached(gripd, "stream", {"action": "refresh"}, 1)
    assert publish(gripd, "stream", {"content": "left\n"}) == 1
    client.wait_for(r"^/stream\?2 line left$")


def test_node_is_told_when_gripd_stops(gripd, node):
    """Its stream ends properly, and its connection with a goodbye that is no error."""
    client = node("/stream")
    client.wait_for("^/stream line hello$")
    gripd.program.process.terminate()
    client.wait_for("^closed$")
    assert client.count("goodbye 0") > 0, client.output()
    assert client.count("/stream end") == 1 and client.count("error") == 0, client.output()
    assert gripd.program.wait_end() == 0


def test_curl_reads_a_stream(gripd, curl):
    """The hold's own content first, then what is published, then the end."""
    client = curl(gripd.url("/stream"))
    client.wait_for("^HTTP/2 200")
    client.wait_for("^hello$")
    publish(gripd, "stream", {"content": "one\n"})
    client.wait_for("^one$")
    publish(gripd, "stream", {"action": "close"})
    assert client.wait_end() == 0, client.output()


def test_curl_is_answered(gripd, curl, tmp_path):
    """A page, an upload that asks whether it may come, a download, and a long-poll."""
    client = curl(gripd.url("/page"))
    client.wait_for("^HTTP/2 200")
    client.wait_for("^page$")
    file = tmp_path / "large"
    file.write_bytes(bytes(LARGE))
    client = curl(gripd.url("/upload"), "-H", "Expect: 100-continue", "--data-binary", f"@{file}")
    client.wait_for("^HTTP/2 100")
    client.wait_for(f"^{LARGE} bytes$")
    client = curl(gripd.url("/large"), "-o", str(tmp_path / "got"))
    assert client.wait_end() == 0, client.output()
    assert (tmp_path / "got").read_bytes().endswith(bytes(LARGE))
    client = curl(gripd.url("/poll"))
    until_reached(gripd, "response", {"body": "news\n"}, 1)
    client.wait_for("^news$")
    assert client.wait_end() == 0, client.output()
