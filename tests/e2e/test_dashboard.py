"""The dashboard of examples/django in headless Chromium, and what docs/django.md says of it."""

import json
import re

import pytest
from conftest import Site
from page import Page
from program import free_port
from proxy import PUSHPIN, ROOT, start_proxy

EXAMPLE = ROOT / "examples" / "django"
BUILT = ROOT / "target" / "e2e"

# Tells the console what is swapped, and notes how far the layout jumps.
WATCH = """
    window.jumps = [];
    window.observer = new PerformanceObserver((list) => jumps.push(...list.getEntries()));
    observer.observe({ type: 'layout-shift' });
    for (const place of document.querySelectorAll('[sse-swap]')) {
      new MutationObserver(() => {
        const value = place.querySelector('.value, dd').innerText;
        console.log(`swapped ${place.getAttribute('sse-swap')} ${value}`);
      }).observe(place, { childList: true });
    }
    const state = document.getElementById('state');
    const tell = () => console.log(`state ${state.innerText}`);
    new MutationObserver(tell).observe(state, { childList: true });
    tell();
"""

# How far it jumped since this was asked last, with what is drawn by now.
JUMPS = (
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    ".then(() => [...jumps.splice(0), ...observer.takeRecords()])"
    ".then((all) => all.reduce((sum, entry) => sum + entry.value, 0))"
)


@pytest.fixture
def make_dashboard(programs, tmp_path):
    """Makes the example behind its proxy, served as its image does; `env(proxy, port)` adds."""

    def make(env=lambda proxy, port: {}):
        port = free_port()
        proxy = start_proxy(programs, tmp_path / "proxy", port)
        settings = {
            "NODE_MODULES": str(BUILT / "dashboard" / "node_modules"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **env(proxy, port),
        }
        server = {"project": EXAMPLE, "server": gunicorn, "env": settings}
        return Site(programs, tmp_path, proxy, port, **server)

    return make


@pytest.fixture
def open_page(clients):
    """Opens a page and waits until it is live."""

    def open_page(url, state="live"):
        page = Dashboard(clients.chromium(url))
        page.run(WATCH)
        page.told(f"^state {state}")
        return page

    return open_page


class Dashboard(Page):
    """The dashboard in the browser."""

    def waits_for(self, event, value):
        """Waits until a component was swapped for one that shows this."""
        self.told(f"^swapped {event} {re.escape(str(value))}( |$)")

    def swaps(self, event=""):
        """How many swaps there were."""
        return self.program.count(f"swapped {event}")


def gunicorn(address):
    """The command of the example's image."""
    command = (EXAMPLE / "Dockerfile").read_text().split("\nCMD ")[1]
    argv = json.loads(command.replace("\\\n", ""))
    argv[argv.index("0.0.0.0:8000")] = address
    return ["-m", *argv], "Listening at"


def push(site, name, value):
    """Sends one number from a process that is no part of the site."""
    program = site.run(["push.py", name, str(value)])
    assert program.wait_end() == 0, program.output()


def test_numbers_change_by_a_command_and_by_another_process(make_dashboard, open_page):
    """Every component shows what was sent, and swaps once."""
    site = make_dashboard()
    page = open_page(site.proxy.url())
    tick = site.run(["manage.py", "tick", "--once"])
    assert tick.wait_end() == 0, tick.output()
    sent = dict(part.split() for part in tick.lines[-1].split(", "))
    assert list(sent) == ["visitors", "orders", "response", "requests"]
    for event, value in sent.items():
        page.waits_for(event, value)
    push(site, "orders", 987654)
    page.waits_for("orders", 987654)


def test_tick_goes_on_until_it_is_stopped(make_dashboard, open_page):
    """As the container `ticker` does; SIGTERM ends it well."""
    site = make_dashboard()
    page = open_page(site.proxy.url())
    tick = site.run(["manage.py", "tick", "--every", "0.05"])
    for _ in range(3):
        tick.wait_for("^visitors ")
    page.told("^swapped visitors ")
    tick.stop()
    assert tick.process.returncode == 0, tick.output()


def test_commands_tell_that_gripd_is_not_there(make_dashboard):
    """Neither command ends as if all were well."""
    site = make_dashboard(lambda proxy, port: {"GRIP_URL": f"http://localhost:{free_port()}"})
    for arguments in (["manage.py", "tick", "--once"], ["push.py", "orders", "1"]):
        program = site.run(arguments)
        assert program.wait_end() == 1, program.output()
        program.wait_for("cannot publish: ")


def test_a_component_swaps_on_its_event_only(make_dashboard, open_page):
    """Other names, and names nobody waits for, leave it alone."""
    site = make_dashboard()
    page = open_page(site.proxy.url())
    everything = "[...document.querySelectorAll('[sse-swap]')].map((place) => place.innerHTML)"
    before = page.value(everything)
    script = """
import django
django.setup()
from django_eventstream import send_event
send_event("dashboard", "nobody", "<p class=value>1</p>", json_encode=False, async_publish=False)
send_event("elsewhere", "visitors", "<p class=value>2</p>", json_encode=False, async_publish=False)
"""
    prepare = "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'project.settings'"
    other = site.run(["-c", prepare + script])
    assert other.wait_end() == 0, other.output()
    push(site, "orders", 987654)
    page.waits_for("orders", 987654)
    after = page.value(everything)
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True]
    assert page.swaps() == page.swaps("orders"), page.program.output()


@pytest.mark.parametrize(
    ("allowed", "why"),
    [
        ("http://localhost:{port}", None),
        ("http://other.test", "to the page that asked"),
        ("*", "to a page that asks with credentials"),
    ],
)
def test_page_of_another_origin(make_dashboard, open_page, allowed, why):
    """The page from the site's own port, the stream from the proxy's, asked with credentials."""
    site = make_dashboard(
        lambda proxy, port: {
            "EVENTS_URL": proxy.url("/events/", host="localhost"),
            "PAGE_ORIGIN": allowed.format(port=port),
        }
    )
    url = f"http://localhost:{site.port}/"
    if why is None:
        page = open_page(url)
        push(site, "orders", 987654)
        page.waits_for("orders", 987654)
        return
    page = open_page(url, state="connecting")
    page.told("blocked by CORS policy")
    push(site, "orders", 987654)
    page.program.wait_for("blocked by CORS policy")  # it tries again, and is told again
    assert page.value("document.getElementById('state').innerText") == "connecting"
    assert page.swaps() == 0, page.program.output()
    if not PUSHPIN:
        site.proxy.program.look_again()
        site.proxy.program.wait_for(f"INFO a browser will not show this event stream {why}")


def test_keyboard(make_dashboard, open_page):
    """The first stop is the button, and it stops the numbers until it is pressed again."""
    site = make_dashboard()
    page = open_page(site.proxy.url())
    page.ask("press Tab")
    assert page.value("document.activeElement.id") == "pause"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.value(outline) == "solid", "one sees where one is"
    pressed = "document.getElementById('pause').getAttribute('aria-pressed')"
    page.ask("press Space")
    assert page.value(pressed) == "true"
    # Told when the event was left out, behind htmx's own listener.
    page.run("document.addEventListener('htmx:sseBeforeMessage', () => console.log('left out'));")
    push(site, "orders", 987654)
    page.told("^left out")
    page.ask("press Enter")
    assert page.value(pressed) == "false"
    push(site, "orders", 987655)
    page.waits_for("orders", 987655)
    assert page.program.count("987654") == 0, page.program.output()


def test_looks(make_dashboard, open_page):
    """Fits a phone and a screen, never jumps, loads nothing from elsewhere. See target/e2e."""
    site = make_dashboard()
    page = open_page(site.proxy.url())
    for width, height in [(360, 740), (1200, 800)]:
        page.ask(f"size {width} {height}")
        for scheme in ("light", "dark"):
            page.ask(f"shot {scheme} {BUILT / f'dashboard-{width}-{scheme}.png'}")
        assert page.value("document.documentElement.scrollWidth") <= width
        page.value(JUMPS)  # what resizing moved does not count; what longer numbers move does
        for value in (7, 987654):
            push(site, "orders", value)
            page.waits_for("orders", value)
        assert page.value(JUMPS) == 0
    loaded = page.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(loaded) >= 4 and all(name.startswith(site.proxy.url()) for name in loaded), loaded


def test_every_log_line_of_the_document_is_one_of_gripds():
    """`docs/django.md` quotes no line that the sources do not write."""
    document = (ROOT / "docs" / "django.md").read_text()
    blocks = re.findall(r"```log\n(.*?)```", document, re.DOTALL)
    quoted = [line for block in blocks for line in block.splitlines()]
    assert len(quoted) >= 10
    written = messages()
    for line in quoted:
        level, text = line.split(" ", 1)
        assert level in ("DEBUG", "INFO", "WARN", "ERROR"), line
        message = re.split(r" [a-z_.]+=", text)[0]
        assert any(pattern.fullmatch(message) for pattern in written), line


def messages():
    """The texts in gripd's sources as patterns: what is put into one may be anything."""
    patterns = []
    for file in (ROOT / "src").rglob("*.rs"):
        for text in re.findall(r'"((?:[^"\\]|\\.)*)"', file.read_text(), re.DOTALL):
            text = re.sub(r"\\\n\s*", "", text).replace('\\"', '"')
            fixed = re.split(r"\{[^{}]*\}", text)
            if max(map(len, fixed)) >= 9:  # more than what is put in: words of its own
                patterns.append(re.compile(".+".join(map(re.escape, fixed)), re.DOTALL))
    return patterns
