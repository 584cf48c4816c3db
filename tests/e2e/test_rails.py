"""The example of examples/rails behind the proxy, its page in headless Chromium, and docs/rails.md,
followed. Rails and Puma are Debian's."""

import re
import shutil
import urllib.error
import urllib.request

import pytest
from page import Page
from program import DEADLINE, free_port
from proxy import PUSHPIN, ROOT, start_proxy
from reader import Reader

EXAMPLE = ROOT / "examples" / "rails"
BUILT = ROOT / "target" / "e2e"

# Tells the console the state, and each line that comes, with the count.
WATCH = """
    const find = (id) => document.getElementById(id);
    const tell = () => console.log(`state ${find('state').innerText}`);
    new MutationObserver(tell).observe(find('state'), { childList: true });
    tell();
    new MutationObserver((changes) => {
      for (const line of changes.flatMap((change) => [...change.addedNodes])) {
        console.log(`line ${line.value} ${line.innerText}`);
      }
    }).observe(find('lines'), { childList: true });
"""


class Site:
    """The example, run as its README says, and the proxy before it."""

    def __init__(self, programs, folder, env=None):
        self.port = free_port()
        self.proxy = start_proxy(programs, folder / "proxy", self.port, options=",over_http")
        self.folder = stage(folder / "site")
        self.programs = programs
        self.env = {"PORT": str(self.port), "GRIP_URL": self.proxy.control, **(env or {})}

    def start(self):
        """Starts Rails and waits until it listens."""
        self.server = self.rails("server")
        self.server.wait_for("Use Ctrl-C to stop")
        return self

    def rails(self, *arguments):
        """Starts a command of Rails."""
        argv = ["bin/rails", *arguments]
        return self.programs.start(argv, cwd=self.folder, env=self.env)

    def write(self, *texts):
        """Writes lines from a process that is no part of the site; what it said."""
        writes = "; ".join(f"Line.write({text!r})" for text in texts)
        runner = self.rails("runner", writes)
        assert runner.wait_end() == 0, runner.output()
        return runner

    def keep(self, *texts):
        """Puts lines where Rails keeps them, before anybody listens."""
        (self.folder / "tmp").mkdir(exist_ok=True)
        (self.folder / "tmp" / "lines.txt").write_text("".join(f"{text}\n" for text in texts))

    def restart_proxy(self):
        """Starts the proxy anew, on the same ports."""
        argv = self.proxy.program.argv
        argv[argv.index("--port") + 1] = f"127.0.0.1:{self.proxy.client_port}"
        argv[argv.index("--control") + 1] = f"127.0.0.1:{self.proxy.control_port}"
        self.programs.start(argv, cwd=self.folder)


def stage(folder):
    """A copy of the example, for the files that Rails writes."""
    return shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("tmp", "Gemfile.lock"))


@pytest.fixture
def site(programs, tmp_path):
    """The example and its proxy, both running."""
    return Site(programs, tmp_path).start()


@pytest.fixture
def open_page(clients):
    """Opens a page and waits until it is live."""

    def open_page(url):
        page = Lines(clients.chromium(url))
        page.run(WATCH)
        page.told("^state live")
        return page

    return open_page


class Lines(Page):
    """The page in the browser."""

    def shows(self, number, text):
        """Waits until a line has come."""
        self.told(f"^line {number} {re.escape(text)}$")

    def lines(self):
        """What is on the page."""
        items = "[...document.querySelectorAll('#lines li')]"
        return self.value(f"{items}.map((line) => [line.value, line.innerText])")

    def count(self):
        """What the counter says."""
        return self.value("document.getElementById('count').innerText")


def test_lines_come_from_everywhere(site, clients, open_page):
    """By the form, from another process, and by a WebSocket over HTTP; each comes once."""
    page = open_page(site.proxy.url())
    page.run("document.querySelector('[name=text]').focus();")
    page.type("typed")
    page.ask("press Enter")
    page.shows(1, "typed")
    site.write("from <b>elsewhere</b>")
    page.shows(2, "from <b>elsewhere</b>")
    switched_on = ["env", "NODE_OPTIONS=--experimental-websocket"]
    url = site.proxy.url("/socket").replace("http", "ws")
    socket = clients.node("native.mjs", url, within=switched_on)
    socket.wait_for("^open$")
    socket.tell("said on a WebSocket ☃")
    socket.wait_for("^message said on a WebSocket ☃$")
    page.shows(3, "said on a WebSocket ☃")
    written = [[1, "typed"], [2, "from <b>elsewhere</b>"], [3, "said on a WebSocket ☃"]]
    assert (page.lines(), page.count()) == (written, "3")
    assert page.value("document.querySelector('[name=text]').value") == "", "for the next one"
    socket.tell("close")
    socket.wait_for("^close 1000$")
    assert open_page(site.proxy.url()).lines() == written, "Rails renders what was written"


def test_the_page_goes_through_a_restart_of_gripd(site, open_page):
    """It comes back by itself; what was written meanwhile comes once, and 20 lines stay."""
    if PUSHPIN:
        pytest.skip("only gripd is told by the test which port to use")
    site.keep(*(f"line {number}" for number in range(1, 17)))
    page = open_page(site.proxy.url())
    site.proxy.program.stop()
    page.told("^state connecting")
    runner = site.write("meanwhile", "and more")
    runner.wait_for("line 17 is not published: ")
    site.restart_proxy()
    page.program.wait_for("^state live")
    page.shows(18, "and more")
    site.write(*(f"line {number}" for number in range(19, 25)))
    page.shows(24, "line 24")
    expected = [f"line {number}" for number in range(5, 17)]
    expected += ["meanwhile", "and more"]
    expected += [f"line {number}" for number in range(19, 25)]
    assert page.lines() == [list(line) for line in enumerate(expected, 5)]
    assert page.count() == "24"
    assert page.program.count("line 17 ") == 1, page.program.output()


def test_held_streams_take_no_thread(site, clients):
    """More clients than Puma has threads, and pages are still answered."""
    site.keep("first")
    streams = [clients.curl(site.proxy.url("/events")) for _ in range(8)]
    for stream in streams:
        stream.wait_for("^data: first$")
    assert fetch(site.proxy.url()) == 200
    site.write("for all")
    for stream in streams:
        stream.wait_for("^data: for all$")


def test_what_rails_streams_itself_passes_straight_through(site, clients):
    """Event by event; when the client goes, Rails learns of it."""
    clock = clients.curl(site.proxy.url("/clock"))
    for _ in range(2):
        clock.wait_for("^event: time$")
        clock.wait_for("^data: 20")
    clock.stop()
    site.server.wait_for("clock: the client has gone")


def test_behind_the_deflater(programs, clients, tmp_path):
    """What is held is unpacked; what passes is packed, and each event comes when it is written."""
    site = Site(programs, tmp_path)
    initializer = site.folder / "config" / "initializers" / "deflater.rb"
    initializer.parent.mkdir()
    initializer.write_text("Rails.application.config.middleware.use Rack::Deflater\n")
    site.keep("first")
    site.start()
    packed = ["--compressed"]
    stream = clients.curl(site.proxy.url("/events"), *packed)
    stream.wait_for("^data: first$")
    site.write("second")
    stream.wait_for("^data: second$")
    assert stream.count("Content-Encoding") == 0, stream.output()
    clock = clients.curl(site.proxy.url("/clock"), *packed)
    clock.wait_for("(?i)^Content-Encoding: gzip")
    for _ in range(2):
        clock.wait_for("^data: 20")


def test_only_hosts_that_rails_knows(programs, tmp_path):
    """gripd passes the client's name on; `config.hosts` must have it."""
    site = Site(programs, tmp_path, {"HOSTS": "www.example.com"}).start()
    assert fetch(site.proxy.url(), "www.example.com") == 200
    assert fetch(site.proxy.url(), "other.example.com") == 403


def fetch(url, host="localhost"):
    """The status of an answer."""
    request = urllib.request.Request(url, headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_looks(site, open_page):
    """Fits a phone and a screen, and loads nothing from elsewhere. See target/e2e."""
    site.keep("hello", "long" * 50)
    page = open_page(site.proxy.url())
    for width, height in [(360, 740), (1200, 800)]:
        page.ask(f"size {width} {height}")
        for scheme in ("light", "dark"):
            page.ask(f"shot {scheme} {BUILT / f'rails-{width}-{scheme}.png'}")
        assert page.value("document.documentElement.scrollWidth") <= width
        assert page.value("document.documentElement.scrollHeight") <= height
    loaded = page.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(loaded) >= 2 and all(name.startswith(site.proxy.url()) for name in loaded), loaded


@pytest.mark.skipif(PUSHPIN, reason="the document is gripd's")
def test_the_page_can_be_followed(programs, tmp_path):
    """`docs/rails.md`, in a copy of the example."""
    folder = stage(tmp_path / "site")
    env = {"PORT": "3000", "GRIP_URL": "http://localhost:5561"}
    Reader(programs, folder, env).follow(ROOT / "docs" / "rails.md")
