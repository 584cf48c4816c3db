"""The welcome page of a gripd without any configuration, in headless Chromium."""

import json
import re
import urllib.request

import pytest

from program import free_port
from proxy import PUSHPIN, ROOT, start_unconfigured

pytestmark = pytest.mark.skipif(PUSHPIN, reason="Pushpin has no welcome page")


def publish(proxy, text):
    """As the page's curl line does it."""
    formats = {"http-stream": {"content": text + "\n"}, "ws-message": {"content": text}}
    item = {"channel": "test", "formats": formats}
    body = json.dumps({"items": [item]}).encode()
    urllib.request.urlopen(proxy.control + "/publish", body).close()


def opened(clients, proxy):
    """The page, with both its connections."""
    page = clients.welcome(proxy.url())
    wait_for_all(page, "stream state: open", "socket state: open")
    # A WebSocket is subscribed when what was sent behind that has come back.
    page.tell("send hello, hello")
    wait_for_all(page, "socket log: hello, hello", "sent: Sent over the WebSocket.*")
    return page


def both(text):
    return [f"stream log: {text}", f"socket log: {text}"]


def wait_for_all(page, *lines):
    """Waits for these lines, in whatever order they come."""
    for line in lines:
        page.look_again()
        page.wait_for(f"^{line}$")


def test_messages_of_the_control_port_and_of_the_box_appear(programs, clients):
    proxy = start_unconfigured(programs)
    page = opened(clients, proxy)
    publish(proxy, "from the control port")
    wait_for_all(page, *both("from the control port"))
    text = "from the box: a & b = ü"
    page.tell("publish " + text)
    wait_for_all(page, *both(text), "sent: Sent to 2 listeners.")
    text = "<img src=x onerror=console.log('run')>"
    publish(proxy, text)
    wait_for_all(page, *both(re.escape(text)))
    assert not page.count("page error") + page.count("Refused") + page.count("foreign: http")


def test_the_logs_go_on_after_a_restart_of_gripd(programs, clients):
    port = free_port()
    proxy = start_unconfigured(programs, port)
    page = opened(clients, proxy)
    proxy.program.stop()
    wait_for_all(page, "stream state: lost", "socket state: lost")
    proxy = start_unconfigured(programs, port)
    for connection in ["stream", "socket"]:
        page.look_again()
        page.wait_for(f"^{connection} state: lost$")
        page.wait_for(f"^{connection} state: open$")
    page.tell("send here again")
    wait_for_all(page, "socket log: here again")
    publish(proxy, "after the restart")
    wait_for_all(page, *both("after the restart"))


def test_each_line_can_be_copied(programs, clients):
    proxy = start_unconfigured(programs)
    page = opened(clients, proxy)
    page.tell("copy")
    stream = re.escape(proxy.url("/stream"))
    page.wait_for(f"^copied: curl -N {stream}$")
    page.wait_for(rf"^copied: curl -d '.*test.*ws-message.*' http://127\.0\.0\.1:{proxy.control_port}/publish$")
    page.wait_for(r"^copied: gripd --route '\* localhost:8000'$")


def test_it_fits_phones_and_desks(programs, clients):
    """Screenshots for people are left in target/e2e."""
    proxy = start_unconfigured(programs)
    page = opened(clients, proxy)
    page.tell("publish order 4711 has been shipped, and " + "averylongword" * 9)
    wait_for_all(page, *both("order 4711.*"))
    for width in [360, 1200]:
        for scheme in ["light", "dark"]:
            file = ROOT / "target" / "e2e" / f"welcome-{width}-{scheme}.png"
            page.tell(f"look {width} {scheme} {file}")
            page.wait_for("^too wide: 0$")
            page.wait_for(f"^looked: {width}$")
            assert file.exists()
