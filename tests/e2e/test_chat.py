"""The chat of examples/chat: two tabs of headless Chromium, and a backend that is restarted."""

import os
import re
import shutil

import pytest
from page import Page
from program import free_port
from proxy import ROOT, start_proxy

EXAMPLE = ROOT / "examples" / "chat"
BUILT = ROOT / "target" / "e2e"
STAGE = BUILT / "chat"  # where `npm ci` put the example's packages

# Tells the console what is said, what state the page is in, and what it notes.
WATCH = """
    const tell = (id, text) => {
      const place = document.getElementById(id);
      let last;
      const look = () => {
        if (text(place) !== last) { last = text(place); console.log(`${id} ${last}`); }
      };
      new MutationObserver(look).observe(place, { childList: true, characterData: true });
      look();
    };
    tell('said', (place) => {
      const line = place.lastElementChild;
      return line ? `${line.querySelector('b').innerText}: ${line.lastChild.data}` : '';
    });
    tell('state', (place) => place.innerText);
    tell('note', (place) => place.textContent);
"""


class Chat:
    """The example: its backend, run by `npm start`, and the proxy before it."""

    def __init__(self, programs, folder):
        self.port = free_port()
        self.proxy = start_proxy(programs, folder / "proxy", self.port, options=",over_http")
        self._programs = programs
        self.grip_url = self.proxy.control
        self.start()

    def start(self):
        """Starts the backend and waits until it listens."""
        env = {"PORT": str(self.port), "GRIP_URL": self.grip_url}
        self.backend = self._programs.start(["npm", "start"], cwd=STAGE, env=env)
        self.backend.wait_for("Then open http://localhost:7999")

    def stop(self):
        """Ends the backend; the proxy and its clients stay."""
        self.backend.stop()


@pytest.fixture
def chat(programs, tmp_path):
    """The example and its proxy, both running."""
    for file in EXAMPLE.iterdir():
        if file.name == "public":
            shutil.copytree(file, STAGE / "public", dirs_exist_ok=True)
        elif file.is_file():
            shutil.copy(file, STAGE)
    return Chat(programs, tmp_path)


@pytest.fixture
def open_tab(clients):
    """Opens a page and waits until it is in this state."""

    def open_tab(url, state="live"):
        tab = Tab(clients.chromium(url))
        tab.run(WATCH)
        tab.told(f"^state {state}")
        return tab

    return open_tab


class Tab(Page):
    """A tab with the chat."""

    def say(self, name, text):
        """Sends a message by the keyboard, whatever has the focus."""
        self.run(f"document.querySelector('[name=name]').value = '{name}';")
        self.run(f"document.querySelector('[name=text]').value = '{text}';")
        self.run("document.querySelector('[name=text]').focus();")
        self.ask("press Enter")

    def hears(self, name, text):
        """Waits until a message is shown."""
        self.told(f"^said {name}: {re.escape(text)}$")

    def has_stayed(self):
        """Whether the page has been live since it was so first."""
        states = [line for line in self.program.lines if line.startswith("state ")]
        return states[states.index("state live") :] == ["state live"]


def test_messages_pass_both_ways(chat, open_tab):
    """Each tab shows what either says, in the order in which it was said."""
    one, other = (open_tab(chat.proxy.url()) for _ in range(2))
    one.say("Ann", "hello")
    for tab in (one, other):
        tab.hears("Ann", "hello")
    other.say("Bob", "hello <b>Ann</b>")
    for tab in (one, other):
        tab.hears("Bob", "hello <b>Ann</b>")
    said = "[...document.querySelectorAll('#said li')].map((line) => line.lastChild.data)"
    assert one.value(said) == other.value(said) == ["hello", "hello <b>Ann</b>"]


def test_nobody_is_disconnected_when_the_backend_is_restarted(chat, open_tab):
    """Both tabs stay live; what is said while the backend is away arrives when it is back."""
    one, other = (open_tab(chat.proxy.url()) for _ in range(2))
    one.say("Ann", "before")
    other.hears("Ann", "before")
    chat.stop()
    one.say("Ann", "meanwhile")
    chat.start()
    for tab in (one, other):
        tab.hears("Ann", "meanwhile")
    other.say("Bob", "after")
    for tab in (one, other):
        tab.hears("Bob", "after")
        assert tab.has_stayed(), tab.program.output()


def test_rooms_are_apart(chat, open_tab):
    """What is said in one room is not heard in another."""
    lobby, garden = (open_tab(chat.proxy.url(path)) for path in ("/", "/?room=garden"))
    lobby.say("Ann", "in the lobby")
    lobby.hears("Ann", "in the lobby")
    garden.say("Bob", "in the garden")
    garden.hears("Bob", "in the garden")
    assert garden.program.count("in the lobby") == 0, garden.program.output()


def test_the_page_comes_back(programs, tmp_path, chat, open_tab):
    """When the proxy itself ends, the page opens another WebSocket as soon as it can."""
    if os.environ.get("GRIPD_E2E_PUSHPIN"):
        pytest.skip("only gripd is told by the test which port to use")
    tab = open_tab(chat.proxy.url())
    argv = chat.proxy.program.argv
    argv[argv.index("--port") + 1] = f"127.0.0.1:{chat.proxy.client_port}"
    chat.proxy.program.stop()
    tab.told("^state connecting")
    tab.say("Ann", "lost?")
    tab.told("^note Not sent")
    assert tab.value("document.querySelector('[name=text]').value") == "lost?"
    programs.start(argv, cwd=tmp_path)
    tab.program.wait_for("^state live")


def test_without_gripd(chat, open_tab):
    """The page says what is missing; the backend says that WebSockets come through gripd."""
    tab = open_tab(f"http://localhost:{chat.port}/", state="connecting")
    tab.told("^note No connection. Is gripd running")
    page = tab.value("fetch('/rooms/lobby').then(async (r) => [r.status, await r.text()])")
    assert page == [426, "WebSockets come through gripd.\n"]


def test_a_publish_that_fails_is_told(programs, tmp_path, chat, open_tab):
    """Whoever said something that could not be published learns of it, and stays."""
    chat.stop()
    chat.grip_url = f"http://localhost:{free_port()}"
    chat.start()
    tab = open_tab(chat.proxy.url())
    tab.say("Ann", "hello")
    tab.told("^note Not sent: the chat cannot reach gripd")
    chat.backend.wait_for("cannot publish to http://localhost")
    assert tab.has_stayed(), tab.program.output()


def test_keyboard(chat, open_tab):
    """Name, message and room by keys alone; the focus is seen."""
    tab = open_tab(chat.proxy.url())
    focused = "document.activeElement.name ?? document.activeElement.id"
    assert tab.value(focused) == "name", "a newcomer has no name yet"
    tab.type("Ann")
    tab.ask("press Tab")
    assert tab.value(focused) == "text"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.value(outline) == "solid", "one sees where one is"
    tab.type("hi there")
    tab.ask("press Enter")
    tab.hears("Ann", "hi there")
    assert tab.value(focused) == "text", "the next message can follow"
    stops = []
    for _ in range(4):
        tab.ask("press Shift+Tab")
        stops.append(tab.value(focused))
    assert stops[:2] == ["name", "said"], "the log can be scrolled by keys"
    tab.run("document.querySelector('[name=room]').focus();")
    tab.type("tea")
    tab.ask("press Enter")
    tab.ask("reach [?]room=tea$")
    assert tab.value("document.querySelector('[aria-current]').innerText") == "tea"
    assert tab.value("document.querySelector('[name=name]').value") == "Ann"


def test_looks(chat, open_tab):
    """Fits a phone and a screen, with long words too, and loads nothing from elsewhere."""
    tab = open_tab(chat.proxy.url("/?room=" + "room-" * 7))
    for text in ("hello", "long" * 100):
        tab.say("Ann", text)
        tab.hears("Ann", text)
    for width, height in [(360, 740), (1200, 800)]:
        tab.ask(f"size {width} {height}")
        for scheme in ("light", "dark"):
            tab.ask(f"shot {scheme} {BUILT / f'chat-{width}-{scheme}.png'}")
        assert tab.value("document.documentElement.scrollWidth") <= width
        assert tab.value("document.documentElement.scrollHeight") <= height
    loaded = tab.value("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(loaded) >= 2 and all(name.startswith(chat.proxy.url()) for name in loaded), loaded
