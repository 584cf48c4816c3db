"""The example of docs/websockets.md, as it stands there: Express and serve-grip behind gripd, and
Node's own WebSocket as client."""

import json
import urllib.request

import pytest

from conftest import NODE
from markdown import blocks
from program import free_port
from proxy import PUSHPIN, ROOT, start_proxy

pytestmark = pytest.mark.skipif(PUSHPIN, reason="the document is gripd's")


def publish(proxy, text):
    """To everybody in the example's channel."""
    item = {"channel": "room1", "formats": {"ws-message": {"content": text}}}
    body = json.dumps({"items": [item]}).encode()
    urllib.request.urlopen(proxy.control + "/publish", body).close()


def test_the_example_runs(programs, clients, tmp_path):
    (example,) = [b.text for b in blocks(ROOT / "docs" / "websockets.md") if b.kind == "js"]
    port = free_port()
    assert "app.listen(3001);" in example
    listening = f"app.listen({port}, () => console.log('it listens'));"
    (tmp_path / "app.mjs").write_text(example.replace("app.listen(3001);", listening))
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    app = programs.start(["node", "app.mjs"], cwd=tmp_path)
    app.wait_for("^it listens$")
    proxy = start_proxy(programs, tmp_path / "gripd", f"{port},over_http")
    switched_on = ["env", "NODE_OPTIONS=--experimental-websocket"]
    url = proxy.url("/chat").replace("http", "ws")
    two = [clients.node("native.mjs", url, within=switched_on) for _ in range(2)]
    for client in two:
        client.wait_for("^open$")
        client.tell("hello")
        client.wait_for("^message you said hello$")
    publish(proxy, "to all")
    for client in two:
        client.wait_for("^message to all$")
        client.tell("close")
        client.wait_for("^close ")
