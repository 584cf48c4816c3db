"""The WebSocket cases of the Autobahn test suite (PyPI): none fails, by its own verdicts.

The suite is the client; an echoing backend answers, alone or behind gripd. Which cases are played,
`AUTOBAHN_CASES` says: `*`, or patterns such as `9.1.6 12.*`. By default it is some of those that
differ by size alone (9, 12 and 13), and all others.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from autobahn_cases import suite
from autobahn_cases.play import play
from conftest import HERE
from program import Programs
from proxy import PUSHPIN, start_proxy

pytestmark = pytest.mark.skipif(PUSHPIN, reason="Debian's Pushpin takes no large messages")

SOME = "[1-7].* 9.[12].* 9.3.1 9.5.5 9.[78].1 10.* 12.*.3 12.1.11 13.*.3 13.7.11"
CASES = suite.load()
CHOSEN = suite.select(CASES, os.environ.get("AUTOBAHN_CASES", SOME).split())
if not CHOSEN:
    raise pytest.UsageError("AUTOBAHN_CASES names no case of the suite")

AT_ONCE = 8  # cases; they wait most of the time

# How a WebSocket comes to the backend: what runs as backend, and the options of the target.
WAYS = {
    "alone": (["echo"], None),  # without gripd: what fails here is the backend's
    "direct": (["echo"], ""),
    "grip": (["echo", "--grip"], ""),
    "over_http": (["events"], ",over_http"),
}

# The largest messages have 16 MiB. An answer over HTTP says how long they are, too.
LIMITS = """\
[limits]
websocket_message = "16MiB"
websocket_answer = "17MiB"
"""


@pytest.fixture(scope="module", params=WAYS)
def server(request, tmp_path_factory):
    """Where the cases are played: its port, and what it says."""
    command, options = WAYS[request.param]
    programs = Programs()
    try:
        port = start_backend(programs, *command)
        if options is None:
            yield SimpleNamespace(port=port, output=str)
        else:
            folder = tmp_path_factory.mktemp("proxy")
            (folder / "gripd.toml").write_text(LIMITS)
            proxy = start_proxy(programs, folder, port, "folder", options=options)
            yield SimpleNamespace(port=proxy.client_port, output=proxy.program.output)
    finally:
        programs.stop_all()


def start_backend(programs, name, *options):
    """Starts an echoing backend; returns its port."""
    argv = [sys.executable, "-m", f"autobahn_cases.{name}", *options]
    return int(programs.start(argv, cwd=HERE).wait_for(r"^listening on (\d+)$")[1])


def verdicts(port, names):
    """Plays these cases."""
    cases = {name: CASES[name] for name in names}
    return asyncio.run(play(f"ws://127.0.0.1:{port}", cases, AT_ONCE))


@pytest.mark.parametrize("section", dict.fromkeys(name.split(".")[0] for name in CHOSEN))
def test_no_case_fails(server, section, capsys):
    """Section by section; how many verdicts of each kind there are is told."""
    start = time.monotonic()
    told = verdicts(server.port, suite.select(CHOSEN, [f"{section}.*"]))
    seconds = time.monotonic() - start
    counts = Counter(verdict.behavior for verdict in told)
    with capsys.disabled():
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        print(f" {kinds}, {seconds:.1f} s ", end="", flush=True)
    failed = [str(verdict) for verdict in told if not verdict.passed()]
    what = f"{len(failed)} of {len(told)} cases of section {section}:"
    assert not failed, "\n".join([what, *failed, server.output()])


def test_the_whole_suite_is_there():
    """Every case, by section."""
    sections = Counter(int(name.split(".")[0]) for name in CASES)
    first = {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37}
    assert sections == {**first, 9: 54, 10: 1, 12: 90, 13: 126}


def test_what_is_wrong_is_found(programs):
    """A server that looks neither at UTF-8 nor at close codes, and knows no compression."""
    port = start_backend(programs, "echo", "--careless")
    good, *bad = verdicts(port, ["1.1.2", "6.3.1", "7.9.1", "12.1.1"])
    assert good.passed(), good
    assert [verdict.passed() for verdict in bad] == [False] * 3
    assert [verdict.behavior for verdict in bad] == ["FAILED", "FAILED", "UNIMPLEMENTED"]
    assert "expected: The connection is failed immediately" in str(bad[0])
