"""What every end-to-end test gets: its programs, its proxy, its Django site and its clients."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from container import container, dockerfile, services  # noqa: F401, fixtures for all
from program import Programs, free_port
from proxy import ROOT, start_proxy

HERE = Path(__file__).resolve().parent
NODE = ROOT / "target" / "e2e" / "node"


@pytest.fixture
def programs():
    """Starts programs; all are stopped when the test ends."""
    running = Programs()
    yield running
    running.stop_all()


@pytest.fixture
def clients(programs):
    """Starts the clients that users have."""
    return Clients(programs)


@pytest.fixture
def make_site(programs, tmp_path):
    """Makes a Django site with the proxy before it, both running."""

    def make(way="route", within=(), **options):
        port = free_port()
        proxy = start_proxy(programs, tmp_path / "proxy", port, way, within)
        return Site(programs, tmp_path, proxy, port, **options)

    return make


class Site:
    """The Django site behind its proxy, served as `address:port` by Django's own server."""

    def __init__(  # noqa: PLR0913, each is one thing that a test may want otherwise
        self,
        programs,
        folder,
        proxy,
        port,
        *,
        address="127.0.0.1",
        server=None,
        key=None,
        env=None,
        project=HERE / "django",
    ):
        self.proxy = proxy
        self.port = port
        self.folder = folder
        self._programs = programs
        self._project = project
        # Without a key django-grip looks only whether there is a `Grip-Sig`; with one, it must be
        # valid, or the request does not count as proxied and is never held.
        grip_url = proxy.control + (f"?key={key}" if key else "")
        self._env = {"GRIP_URL": grip_url, "E2E_DIR": str(folder), **(env or {})}
        self._serve, self._ready = (server or runserver)(f"{address}:{port}")
        self.start()

    def start(self):
        """Starts the server and waits until it listens."""
        self._server = self.run(self._serve)
        self._server.wait_for(self._ready)

    def stop(self):
        """Ends the server; the proxy and its clients stay."""
        self._server.stop()

    def send(self, text, channel="test"):
        """Sends an event from a process of its own, as a cron job or a worker would."""
        self.manage("send", channel, text)

    def manage(self, *arguments):
        """Runs a command of manage.py to its end."""
        command = self.start_manage(*arguments)
        assert command.wait_end() == 0, command.output()

    def start_manage(self, *arguments):
        """Starts a command of manage.py."""
        return self.run(["manage.py", *arguments])

    def run(self, arguments):
        """Starts Python in the site's folder, with what the site itself has in its environment."""
        argv = [sys.executable, *arguments]
        return self._programs.start(argv, cwd=self._project, env=self._env)


def runserver(address):
    """Django's own server: what to run, and what it prints when it listens."""
    return ["manage.py", "runserver", "--noreload", address], "Starting development server"


def gunicorn(address):
    """The server most Django sites run on, with threads so that one stream blocks no other."""
    argv = ["-m", "gunicorn", "--threads", "4", "--bind", address, "site_app.wsgi"]
    return argv, "Listening at"


class Clients:
    """Programs that read an event stream; each prints a line per event."""

    def __init__(self, programs):
        self._programs = programs

    def curl(self, url, *options):
        """curl, with the answer's head."""
        return self._programs.start(["curl", "-sS", "-i", "-N", "--noproxy", "*", *options, url])

    def node(self, script, *arguments, within=()):
        """A script of `node/`, run where the npm packages are; `within` is a command around it."""
        for file in (HERE / "node").glob("*.mjs"):
            shutil.copy(file, NODE)  # Node looks for packages beside the script
        return self._programs.start([*within, "node", NODE / script, *arguments])

    def eventsource(self, url):
        """The npm client `eventsource`."""
        return self.node("events.mjs", url)

    def welcome(self, url):
        """The welcome page in headless Chromium."""
        return self.node("welcome.mjs", find_chromium(), url)

    def chromium(self, url, within=()):
        """A page in headless Chromium."""
        return self.node("browser.mjs", find_chromium(), url, within=within)


def find_chromium():
    """Chromium's path: `CHROMIUM`, or what Debian and others call it."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next(filter(None, map(shutil.which, filter(None, names))), None)
    assert found, "no Chromium: install Debian's package `chromium` or set CHROMIUM"
    return found
