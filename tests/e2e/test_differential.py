"""gripd beside Debian's Pushpin: the same scenarios, the same backend, the same bytes.

What is meant to differ is written down in `differential/intended.toml`, fact by fact, each with
its reason. Anything else that differs fails, and so does an entry that differs no longer.
"""

import shutil
import socket
import tomllib
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from differential import (  # noqa: F401, they register themselves
    answers,
    control,
    cross_origin,
    polls,
    sockets,
    streams,
)
from differential.backend import Backend
from differential.registry import SCENARIOS
from differential.world import World
from program import Programs
from proxy import start_with_shipped_settings

INTENDED = Path(__file__).parent / "differential" / "intended.toml"
AT_ONCE = 40  # scenarios that run at once; nearly all of their time is waiting
ATTEMPTS = 2  # Pushpin tells nobody when a hold has begun, so that a busy machine can spoil one


class Pair:
    """Both proxies, each before a backend of its own."""

    def __init__(self, folder):
        self._programs = Programs()
        self._sides = {}
        self._dead = socket.socket()  # bound, so that nobody else gets it, and listening to nobody
        self._dead.bind(("127.0.0.1", 0))
        dead = self._dead.getsockname()[1]
        for kind in ("pushpin", "gripd"):
            backend = Backend()
            routes = "\n".join(
                [
                    f"*,path_beg=/debug/,debug 127.0.0.1:{backend.port}",
                    f"*,path_beg=/dead/ 127.0.0.1:{dead}",
                    f"*,path_beg=/over/ 127.0.0.1:{backend.port},over_http",
                    f"*,path_beg=/one/ 127.0.0.1:{backend.port},over_http,one_event",
                    f"*,path_beg=/aco/,aco 127.0.0.1:{backend.port}",
                    f"*,path_beg=/aco/dead/,aco 127.0.0.1:{dead}",
                    f"*,path_beg=/basic/,aco,jsonp_mode=basic 127.0.0.1:{backend.port}",
                    "*,path_beg=/own/,aco,jsonp_cb=cb,jsonp_body=bd,jsonp_defcb=dcb"
                    f",jsonp_defmethod=PUT 127.0.0.1:{backend.port}",
                    f"* 127.0.0.1:{backend.port}",
                ]
            )
            try:
                proxy = start_with_shipped_settings(kind, self._programs, folder / kind, routes)
            except BaseException:
                self.stop()
                raise
            self._sides[kind] = (proxy, backend)

    def play(self, name, run):
        """The facts of a scenario: of Pushpin and of gripd. `run` makes its names new."""
        with ThreadPoolExecutor(len(self._sides)) as pool:
            return tuple(pool.map(lambda side: self._play(name, run, *side), self._sides.values()))

    def _play(self, name, run, proxy, backend):
        world = World(f"{name}.{run}.", proxy, backend)
        try:
            SCENARIOS[name](world)
        except Exception as error:  # noqa: BLE001, it is what was seen of this side
            world.note("failed", f"{type(error).__name__}: {error}")
        return {key: plain(value, world.name) for key, value in world.facts().items()}

    def stop(self):
        """Ends all."""
        for _, backend in self._sides.values():
            backend.stop()
        self._programs.stop_all()
        self._dead.close()


def plain(value, own):
    """A fact without the names of this run."""
    if isinstance(value, str):
        return value.replace(own, "@")
    if isinstance(value, list | tuple):
        return [plain(part, own) for part in value]
    return value


class Meant(NamedTuple):
    """How a fact is to differ."""

    reason: str
    gripd: str | list | None = None  # what gripd is to show, if told
    sometimes: bool = False  # Pushpin shows it, too, now and then


def intended():
    """The facts that are to differ, by scenario."""
    with INTENDED.open("rb") as file:
        entries = tomllib.load(file)["difference"]
    expected = {}
    for entry in entries:
        assert entry["reason"], entry
        for scenario, fact in product(entry["scenarios"], entry["facts"]):
            assert scenario in SCENARIOS, f"{scenario}: there is no such scenario"
            known = expected.setdefault(scenario, {})
            assert fact not in known, f"{scenario}: {fact} is there twice"
            known[fact] = Meant(
                entry["reason"], entry.get("gripd", {}).get(fact), entry.get("sometimes", False)
            )
    return expected


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each scenario showed: the faults, or none."""
    if not shutil.which("pushpin"):
        pytest.skip("NOTHING IS COMPARED: Debian's pushpin is not here (apt-get install pushpin)")
    pair = Pair(tmp_path_factory.mktemp("pair"))
    expected = intended()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            judged = pool.map(lambda name: judge(pair, name, expected.get(name, {})), SCENARIOS)
            yield dict(zip(SCENARIOS, judged, strict=True))
    finally:
        pair.stop()


def judge(pair, name, expected):
    """The faults of a scenario: those that show each time it is played."""
    faults = []
    for run in range(ATTEMPTS):
        pushpin, gripd = pair.play(name, run)
        faults = compare(pushpin, gripd, expected)
        if not faults:
            break
    return faults


def compare(pushpin, gripd, expected):
    """What differs and is not meant to, and what is meant to and does not."""
    faults = []
    for fact in [*pushpin, *(fact for fact in gripd if fact not in pushpin)]:
        theirs, ours = pushpin.get(fact, "not there"), gripd.get(fact, "not there")
        reason, meant, sometimes = expected.get(fact, Meant(""))
        if theirs != ours and not reason:
            faults.append(f"{fact}:\n  pushpin {theirs!r}\n  gripd   {ours!r}")
        elif theirs == ours and reason and not sometimes:
            faults.append(f"{fact}: differs no longer; both {ours!r}\n  ({reason})")
        elif meant is not None and ours != meant:
            faults.append(f"{fact}:\n  meant   {meant!r}\n  gripd   {ours!r}")
    seen = {*pushpin, *gripd}
    return faults + [f"{fact}: nobody shows such a thing" for fact in expected if fact not in seen]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(results, name):
    """The client of gripd sees what the client of Pushpin sees, but for what is written down."""
    assert not results[name], "\n" + "\n".join(results[name])


def test_the_list_of_differences_is_checked():
    """A difference is a fault, unless it is meant; one that is meant must be there."""
    one, other = {"a": 1, "b": 2}, {"a": 1, "b": 3}
    assert compare(one, one, {}) == []
    assert len(compare(one, other, {})) == 1
    why = {"b": Meant("why")}
    assert compare(one, other, why) == []
    assert compare(one, other, {"b": Meant("why", 3)}) == []
    assert len(compare(one, other, {"b": Meant("why", 4)})) == 1
    assert ["no longer" in fault for fault in compare(one, one, why)] == [True]
    assert compare(one, one, {"b": Meant("why", sometimes=True)}) == []
    assert len(compare(one, {"a": 1}, {})) == 1
    assert len(compare(one, one, {"c": Meant("why")})) == 1
