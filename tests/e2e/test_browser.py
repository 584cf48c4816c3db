"""The same Django site, read by headless Chromium."""

from urllib.parse import quote


def test_page_behind_the_proxy_gets_events(make_site, clients):
    """Page and stream have one origin: both come through the proxy."""
    site = make_site()
    page = clients.chromium(site.proxy.url("/page/?stream=" + quote("/events/")))
    page.wait_for("^open")
    site.send("same origin")
    page.wait_for('message {"text": "same origin"}')


def test_page_of_the_site_gets_events_from_another_origin(make_site, clients):
    """As set up in practice: the page from the site's own port, the stream from the proxy's."""
    site = make_site()
    stream = quote(site.proxy.url("/events/", host="localhost"))
    page = clients.chromium(f"http://localhost:{site.port}/page/?stream={stream}")
    page.wait_for("^open")
    site.send("cross origin")
    page.wait_for('message {"text": "cross origin"}')


def test_stream_of_a_page_survives_a_restart_of_the_backend(make_site, clients):
    """EventSource would reconnect by itself and hide a lost stream; it never has to."""
    site = make_site()
    stream = quote(site.proxy.url("/events/", host="localhost"))
    page = clients.chromium(f"http://localhost:{site.port}/page/?stream={stream}")
    page.wait_for("^open")
    site.stop()
    site.send("while down")
    page.wait_for("while down")
    site.start()
    site.send("after")
    page.wait_for("after")
    assert page.count("open") == 1 and page.count("error") == 0, page.output()
