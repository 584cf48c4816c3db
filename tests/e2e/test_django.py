"""A Django site with django-eventstream, set up as its users do, behind the proxy."""

import json
import os
import urllib.request

import pytest
from conftest import gunicorn, runserver
from program import has_ipv6
from proxy import PUSHPIN, WAYS, with_hosts


@pytest.mark.parametrize("way", WAYS)
def test_event_of_a_management_command_reaches_every_client(make_site, clients, way):
    """Whichever way the proxy was started: it signs by default, so Django lets it hold."""
    site = make_site(way, key="changeme")
    url = site.proxy.url("/events/")
    readers = {"curl": clients.curl(url), "eventsource": clients.eventsource(url)}
    for client, word in [("curl", "event: stream-open"), ("eventsource", "^open")]:
        readers[client].wait_for(word)

    site.send("first")
    site.send("second")

    for reader in readers.values():
        reader.wait_for('{"text": "first"}')
        reader.wait_for('{"text": "second"}')
        assert reader.count("first") == 1, reader.output()


def test_django_sees_a_valid_signature(make_site):
    """django-grip checks `Grip-Sig` with the key `changeme`; a forged one does not get through."""
    site = make_site(key="changeme")
    assert get_json(site.proxy.url("/proxied/")) == {"proxied": True, "signed": True}
    forged = {"Grip-Sig": "e30.e30.e30"}
    assert get_json(site.proxy.url("/proxied/"), forged)["signed"] is True
    direct = f"http://127.0.0.1:{site.port}/proxied/"
    assert get_json(direct, forged) == {"proxied": False, "signed": False}


def test_held_answer_carries_the_headers_of_the_site_and_none_of_grip(make_site, clients):
    """django-eventstream's real header block: what is for browsers stays, the rest goes."""
    site = make_site()
    curl = clients.curl(site.proxy.url("/events/"))
    curl.wait_for("event: stream-open")
    status, *lines = curl.lines[: curl.lines.index("")]
    head = dict(line.lower().split(": ", 1) for line in lines)
    assert status.split()[1] == "200"
    assert head["content-type"] == "text/event-stream"
    assert head["access-control-allow-origin"] == "*"
    assert head["cache-control"] == "no-cache"
    assert head["x-accel-buffering"] == "no"
    assert "content-length" not in head
    assert not [name for name in head if name.startswith("grip-")]


def test_streams_survive_a_restart_of_the_backend(make_site, clients):
    """Events reach held clients while the site is down, and after it came back."""
    site = make_site()
    url = site.proxy.url("/events/")
    curl, eventsource = clients.curl(url), clients.eventsource(url)
    curl.wait_for("event: stream-open")
    eventsource.wait_for("^open")

    site.stop()
    site.send("while down")
    site.start()
    site.send("after")
    late = clients.curl(url)
    late.wait_for("event: stream-open")
    site.send("for all")

    for reader in (curl, eventsource):
        for text in ("while down", "after", "for all"):
            reader.wait_for(text)
    late.wait_for("for all")
    assert curl.running()
    # A client that had lost its stream would have opened another.
    assert eventsource.count("open") == 1 and eventsource.count("error") == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_target_localhost_is_found_on_either_address(make_site, clients, localhost_twice, address):
    """The route says `localhost`; the site listens on one of its two addresses only."""
    if PUSHPIN and address == "[::1]":
        pytest.skip("Debian's Pushpin asks only the first address that it finds, 127.0.0.1")
    site = make_site(within=localhost_twice, address=address)
    curl = clients.curl(site.proxy.url("/events/"))
    curl.wait_for("event: stream-open")
    site.send("found")
    curl.wait_for("found")


@pytest.fixture
def localhost_twice(programs, tmp_path):
    """Runs a program where `localhost` is 127.0.0.1 and ::1, as on most machines but not on all."""
    if not has_ipv6():
        pytest.skip("this machine has no ::1")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
    within = with_hosts(hosts)
    tried = programs.start([*within, "getent", "ahosts", "localhost"])
    if tried.wait_end() != 0:
        pytest.skip("this machine lets nobody have a file /etc/hosts of their own")
    addresses = {line.split()[0] for line in tried.lines}
    assert addresses == {"127.0.0.1", "::1"}, tried.output()
    return within


@pytest.mark.parametrize("server", [runserver, gunicorn])
def test_plain_stream_arrives_event_by_event(make_site, clients, tmp_path, server):
    """No hold: the view makes its second event only after the client has seen the first."""
    os.mkfifo(tmp_path / "go")
    site = make_site(server=server)
    curl = clients.curl(site.proxy.url("/ticks/"))
    curl.wait_for("data: tick 1")
    assert curl.count("tick 2") == 0
    # Opened for both directions, so that opening waits for nobody.
    with (tmp_path / "go").open("r+b", buffering=0) as go:
        go.write(b"go\n")
        curl.wait_for("data: tick 2")
    assert curl.wait_end() == 0, curl.output()


def test_hold_of_a_compressed_view_arrives_decoded(make_site, clients):
    """What is published later is plain, so what the hold starts with must be plain as well."""
    site = make_site()
    direct = clients.curl(f"http://127.0.0.1:{site.port}/gzipped-hold/", "-H", ACCEPT_GZIP)
    direct.wait_for("(?i)content-encoding: gzip")  # the view does compress

    curl = clients.curl(site.proxy.url("/gzipped-hold/"), "-H", ACCEPT_GZIP)
    curl.wait_for("^data: start x{4000}$")
    assert "content-encoding" not in "\n".join(curl.lines).lower()
    site.send("plain")
    curl.wait_for("plain")


def test_hold_of_a_site_that_compresses_everything_works(make_site, clients):
    """GZipMiddleware for the whole site compresses django-eventstream's first content too."""
    site = make_site(env={"E2E_GZIP": "1"})
    curl = clients.curl(site.proxy.url("/events/"), "-H", ACCEPT_GZIP)
    curl.wait_for("event: stream-open")
    site.send("plain")
    curl.wait_for("plain")


ACCEPT_GZIP = "Accept-Encoding: gzip"


def get_json(url, headers=None):
    """The JSON answer to a GET."""
    request = urllib.request.Request(url, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        return json.load(answer)
