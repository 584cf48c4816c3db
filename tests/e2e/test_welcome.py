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
    item = {"channel": "test", "formats": {"http-stream": {"content": text + "\n"}}}
    body = json.dumps({"items": [item]}).encode()
    urllib.request.urlopen(proxy.control + "/publish", body).close()


def test_messages_of_the_control_port_and_of_the_box_appear(programs, clients):
    proxy = start_unconfigured(programs)
    page = clients.welcome(proxy.url())
    page.wait_for("^state: open")
    publish(proxy, "from the control port")
    page.wait_for("^log: from the control port$")
    page.tell("publish from the box: a & b = ü")
    page.wait_for("^(log: from the box: a & b = ü|sent: Sent to 1 listener.)$")
    page.wait_for("^(log: from the box: a & b = ü|sent: Sent to 1 listener.)$")
    text = "<img src=x onerror=console.log('run')>"
    publish(proxy, text)
    page.wait_for("^log: " + re.escape(text))
    assert not page.count("page error") + page.count("Refused") + page.count("foreign: http")


def test_the_log_goes_on_after_a_restart_of_gripd(programs, clients):
    port = free_port()
    proxy = start_unconfigured(programs, port)
    page = clients.welcome(proxy.url())
    page.wait_for("^state: open")
    proxy.program.stop()
    page.wait_for("^state: lost")
    proxy = start_unconfigured(programs, port)
    page.wait_for("^state: open")
    publish(proxy, "after the restart")
    page.wait_for("^log: after the restart$")


def test_each_line_can_be_copied(programs, clients):
    proxy = start_unconfigured(programs)
    page = clients.welcome(proxy.url())
    page.wait_for("^state: open")
    page.tell("copy")
    stream = re.escape(proxy.url("/stream"))
    page.wait_for(f"^copied: curl -N {stream}$")
    page.wait_for(rf"^copied: curl -d '.*test.*' http://127\.0\.0\.1:{proxy.control_port}/publish$")
    page.wait_for(r"^copied: gripd --route '\* localhost:8000'$")


def test_it_fits_phones_and_desks(programs, clients):
    """Screenshots for people are left in target/e2e."""
    proxy = start_unconfigured(programs)
    page = clients.welcome(proxy.url())
    page.wait_for("^state: open")
    page.tell("publish order 4711 has been shipped, and " + "averylongword" * 9)
    page.wait_for("^log: order 4711")
    for width in [360, 1200]:
        for scheme in ["light", "dark"]:
            file = ROOT / "target" / "e2e" / f"welcome-{width}-{scheme}.png"
            page.tell(f"look {width} {scheme} {file}")
            page.wait_for("^too wide: 0$")
            page.wait_for(f"^looked: {width}$")
            assert file.exists()
