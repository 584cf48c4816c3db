"""`docs/dashing.md`, followed: a stream that the app itself keeps passes straight through."""

import time
import urllib.request

import pytest
from program import DEADLINE, free_port
from proxy import PUSHPIN, ROOT, start_proxy
from reader import Reader

APP = ROOT / "tests" / "e2e" / "dashing"

pytestmark = pytest.mark.skipif(PUSHPIN, reason="the document is gripd's")


def start_app(programs, port):
    """Starts what stands for Smashing."""
    app = programs.start(["puma", "--bind", f"tcp://127.0.0.1:{port}"], cwd=APP)
    app.wait_for("Use Ctrl-C to stop")


def test_the_page_can_be_followed(programs, tmp_path):
    """Pages, posts and the stream through one line."""
    reader = Reader(programs, tmp_path)
    start_app(programs, reader.replaced("3030"))
    reader.follow(ROOT / "docs" / "dashing.md")


def test_a_dashboard_that_goes_is_gone_for_the_app(programs, clients, tmp_path):
    """Its connection to the app ends with it."""
    port = free_port()
    start_app(programs, port)
    proxy = start_proxy(programs, tmp_path / "proxy", port)
    dashboard = clients.curl(proxy.url("/events"))
    dashboard.wait_for("good morning")
    assert ask(proxy, "/count") == "1"
    dashboard.stop()
    end = time.monotonic() + DEADLINE
    while ask(proxy, "/count") != "0":
        assert time.monotonic() < end
        # A program notices that its client has gone when it writes.
        ask(proxy, "/widgets/welcome", b'{"text": "anybody there?"}')


def ask(proxy, path, data=None):
    """What the app answers."""
    with urllib.request.urlopen(proxy.url(path), data, timeout=DEADLINE) as answer:
        return answer.read().decode()
