"""Scenarios: WebSockets over HTTP, with GRIP and without, and to a backend that speaks them."""

import json
import threading

from .backend import answer
from .registry import scenario, table
from .websocket import BINARY, CLOSE, FIN, PING, PONG, TEXT, accepting, closing
from .world import World

GRIP = "Sec-WebSocket-Extensions: grip"


def event(kind, content=None):
    """An event as it stands in a body."""
    if content is None:
        return f"{kind}\r\n".encode()
    content = content.encode() if isinstance(content, str) else content
    return f"{kind} {len(content):x}\r\n".encode() + content + b"\r\n"


def events(body=b"", *headers):
    """An answer of events."""
    return answer("200 OK", ["Content-Type: application/websocket-events", *headers], body)


def opened(*more, headers=()):
    """The answer that accepts a WebSocket, and then these events."""
    return events(b"".join([event("OPEN"), *more]), *headers)


def control(kind, **fields):
    """A control message. Keyword names have `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return event("TEXT", "c:" + json.dumps({"type": kind, **named}))


def polite(request):
    """The answer of a backend that has nothing to say but goodbye."""
    _, mark, close = request.body.partition(b"CLOSE")
    return events(mark + close)


def over_http(w: World, *answers, path="/over/@/x", headers=()):
    """A WebSocket over HTTP whose backend gives these answers, and polite ones after them."""
    for raw in answers:
        w.serve(path, raw)
    w.serve(path, polite)
    return w.socket(path, *headers)


def heard(w: World, extension, *more):
    """What a client hears of events."""
    more = [control("subscribe", channel=w.own("@a")) if m is None else m for m in more]
    headers = [f"Sec-WebSocket-Extensions: {extension}"] if extension else []
    client = over_http(w, opened(*more, event("CLOSE"), headers=headers))
    client.hear_all()


M = "grip"
ONE, RAW = event("TEXT", "m:one"), event("TEXT", "raw")
table(
    "ws_heard",
    [
        ("text", "", event("TEXT", "hello"), event("TEXT", "wörld")),
        ("binary", "", event("BINARY", b"\0\1\xff")),
        ("empty", "", event("TEXT"), event("BINARY", ""), event("PING"), event("PONG", "q")),
        ("unknown_events", "", event("FOO", "abc"), event("text", "abc"), event("TEXT", "z")),
        ("size_in_capitals", "", b"TEXT 0B\r\nhello world\r\n", b"TEXT 0x3\r\nabc\r\n"),
        ("long", "", event("TEXT", "x" * 10_000)),
        ("close", "", event("CLOSE", closing(4001, "why")), event("TEXT", "after")),
        ("close_of_one_byte", "", event("CLOSE", "x")),
        ("control_without_grip", "", None, RAW),
        ("grip", M, None, ONE, RAW, event("BINARY", b"m:\0\1"), event("PING", "zz")),
        ("binary_control", M, event("BINARY", 'c:{"type":"detach"}'), ONE),
        ("prefix", 'grip; message-prefix="I:"', ONE, event("TEXT", "I:two")),
        ("empty_prefix", 'grip; message-prefix=""', ONE, RAW),
        ("second_extension", "foo, grip", ONE, RAW),
        ("grip_in_capitals", "GRIP", ONE, RAW),
        ("bad_control", M, event("TEXT", "c:{"), event("TEXT", "c:5"), event("TEXT", "c:"), ONE),
    ],
    heard,
)


def rejected(w: World, status, *headers, body="no way\n"):
    """What a client hears of an answer that accepts nothing."""
    client = over_http(w, answer(status, headers, body))
    assert not client.is_open


EVENTS = "Content-Type: application/websocket-events"
table(
    "ws_rejected",
    [
        ("403", "403 Forbidden", "Content-Type: text/plain", "X-A: 1"),
        ("302", "302 Found", "Location: /there"),
        ("200", "200 OK", "Content-Type: text/html"),
        ("503", "503 Service Unavailable", "Retry-After: 5"),
        ("type_with_charset", "200 OK", EVENTS + "; charset=utf-8"),
        ("type_of_201", "201 Created", EVENTS),
    ],
    rejected,
)


def nonsense(w: World, body):
    """What a client hears of events that accept nothing."""
    client = over_http(w, events(body))
    assert not client.is_open


table(
    "ws_nonsense",
    [
        ("half_open", b"OPEN"),
        ("small_open", b"open\r\n"),
        ("no_open", b"TEXT 1\r\na\r\n"),
        ("nothing", b""),
        ("size_of_letters", b"OPEN\r\nTEXT zz\r\nab\r\n"),
    ],
    nonsense,
)


@scenario
def ws_without_a_backend(w: World):
    """The target refuses connections."""
    w.socket("/dead/@/x")


@scenario
def ws_subprotocol_and_cookies(w: World):
    """The backend chooses; what it says goes to the client, and the client's to it."""
    client = over_http(
        w,
        opened(headers=["Sec-WebSocket-Protocol: chat", "Set-Cookie: a=1", "X-A: 1"]),
        headers=[
            "Sec-WebSocket-Protocol: chat, other",
            "Cookie: b=2",
            "Connection-Id: forged",
            "Meta-User: forged",
            "Accept: text/html",
        ],
    )
    client.say(CLOSE, closing(1000))
    client.hear()
    (request, _) = w.requests("/over/@/x")
    for name in ("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Cookie", "Meta-User",
                 "Accept", "Content-Type"):  # fmt: skip
        w.note(name, request.all(name))
    w.note("another id", request.all("Connection-Id") != ["forged"])


def told(w: World, *frames):
    """What the backend is told, frame by frame, each when the one before it was answered."""
    client = over_http(w, opened())
    for number, (opcode, payload) in enumerate(frames, 2):
        client.say(opcode, payload)
        w.wait_asked("/over/@/x", number)
        w.settle()
    client.hear_all()
    w.asked("/over/@/x")


table(
    "ws_told",
    [
        ("text", (TEXT, "hello"), (TEXT, "wörld"), (CLOSE, closing(1000))),
        ("binary", (BINARY, b"\0\1"), (CLOSE, closing(1000))),
        ("empty", (TEXT, ""), (BINARY, ""), (CLOSE, b"")),
        ("pong", (PONG, "po"), (PONG, ""), (CLOSE, closing(1001, "bye"))),
        ("ping", (PING, "pi"), (CLOSE, closing(1000))),
    ],
    told,
)


@scenario
def ws_told_of_fragments(w: World):
    """A message is one event however it came."""
    client = over_http(w, opened())
    client.say(TEXT, "g", first=0)
    client.say(0, "o", first=0)
    client.say(0, "!")
    w.wait_asked("/over/@/x", 2)
    client.say(CLOSE)
    client.hear()
    w.asked("/over/@/x")


@scenario
def ws_told_together(w: World):
    """What comes during a request goes into the next one."""
    batch(w, "/over/@/x")


@scenario
def ws_told_one_by_one(w: World):
    """The same, one event a request."""
    batch(w, "/one/@/x")


def batch(w, path):
    """Five messages while the backend takes its time with one."""
    gate = threading.Event()

    def slow(_request):
        gate.wait(5)
        return events()

    client = over_http(w, opened(), slow, path=path)
    client.say(TEXT, "go")
    w.wait_asked(path, 2)
    for number in range(5):
        client.say(TEXT, str(number))
    client.say(CLOSE, closing(1000))
    w.settle()
    gate.set()
    client.hear()
    w.asked(path)


@scenario
def ws_client_vanishes(w: World):
    """The backend is told."""
    client = over_http(w, opened())
    client.close()
    w.wait_asked("/over/@/x", 2)
    w.asked("/over/@/x")


@scenario
def ws_backend_ignores_a_close(w: World):
    """The connection ends without a frame."""
    client = over_http(w, opened(), events())
    client.say(CLOSE, closing(1000))
    client.hear()


@scenario
def ws_meta(w: World):
    """Kept by the proxy, told with every request."""
    client = over_http(
        w,
        opened(headers=["Set-Meta-A: 1", "Set-Meta-B: x"]),
        events(b"", "Set-Meta-A: 2", "Set-Meta-C: 3"),
    )
    for number in (2, 3):
        client.say(TEXT, "x")
        w.wait_asked("/over/@/x", number)
        w.settle()
    for number, request in enumerate(w.requests("/over/@/x")):
        w.note(f"meta {number}", [request.all(f"Meta-{name}") for name in "ABC"])


def listening(w: World, *more):
    """A WebSocket with GRIP that listens to `@a`."""
    subscribe = control("subscribe", channel=w.own("@a"))
    client = over_http(w, opened(subscribe, *more, headers=[GRIP]))
    w.settle()
    return client


def published(w: World, *messages):
    """What a client hears of published messages, up to a close."""
    client = listening(w)
    push(w, *messages, {"action": "close", "code": 4000})
    client.hear_all()
    w.wait_asked("/over/@/x", 2)
    w.asked("/over/@/x")


def push(w, *messages, **more):
    """Publishes to the WebSockets of `@a`."""
    w.publish(*({"channel": "@a", "ws-message": message, **more} for message in messages))


table(
    "ws_published",
    [
        ("text", {"content": "hi"}, {"content": ""}),
        ("binary", {"content-bin": "AP8="}),
        ("text_of_base64", {"type": "text", "content-bin": "QQ=="}),
        ("binary_of_text", {"type": "binary", "content": "B"}),
        ("ping_and_pong", {"type": "ping", "content": "p"}, {"type": "pong", "content": "q"}),
        ("nothing_else",),
        ("behind_a_close", {"action": "close", "code": 4009, "reason": "kick"}, {"content": "x"}),
        ("close_without_a_code", {"action": "close"}),
        ("hint", {"action": "hint"}, {"content": "on"}),
        ("code_that_may_not_be", {"action": "close", "code": 70000}),
    ],
    published,
)


def controlled(w: World, *more):
    """What a client hears when its backend said this, and then something is published."""
    client = listening(w, *more)
    w.publish(
        {"channel": "@a", "meta": {"sender": "bob"}, "ws-message": {"content": "of bob"}},
        {"channel": "@a", "ws-message": {"content": "hi %(n)s"}},
        {"channel": "@b", "ws-message": {"content": "to b"}},
        {"channel": "@a", "ws-message": {"action": "close", "code": 4000}},
    )
    client.hear_all()


def own(kind, **fields):
    """A control message for the scenario's own channel `@a`."""
    return kind, fields


def with_own(w: World, *messages):
    """The same with control messages that name channels."""
    made = []
    for kind, fields in messages:
        named = {k: w.own(v) if isinstance(v, str) else v for k, v in fields.items()}
        made.append(control(kind, **named))
    controlled(w, *made)


USER, NAME = own("set-meta", name="user", value="bob"), own("set-meta", name="n", value="Zed")
table(
    "ws_control",
    [
        ("twice", own("subscribe", channel="@a")),
        ("two_channels", own("subscribe", channel="@b")),
        ("unsubscribe_one", own("subscribe", channel="@b"), own("unsubscribe", channel="@b")),
        ("skip_self", USER, own("subscribe", channel="@a", filters=["skip-self"])),
        ("var_subst", NAME, own("subscribe", channel="@a", filters=["var-subst"])),
        ("unknown_filter", own("subscribe", channel="@a", filters=["no-such"])),
        ("meta_removed", USER, own("set-meta", name="user"),
         own("subscribe", channel="@a", filters=["skip-self"])),
        ("without_channel", own("subscribe"), own("subscribe", channel="")),
        ("detach", own("detach")),
        ("flush_delayed", own("send-delayed", content="D", timeout=60), own("flush-delayed")),
        ("two_delayed", own("send-delayed", content="D1", timeout=60),
         own("send-delayed", content="D2", timeout=60)),
        ("faulty_keep_alive", own("keep-alive", content="K", timeout=-1),
         own("keep-alive", content="K", timeout=1, message_type="zz")),
    ],
    with_own,
)  # fmt: skip


@scenario
def ws_keep_alive(w: World):
    """Pings that come by themselves."""
    more = {"content": "", "message_type": "ping", "timeout": 1}
    client = listening(w, control("keep-alive", **more))
    client.hear(2)


@scenario
def ws_channels_have_a_limit(w: World):
    """The 21st is ignored."""
    names = [w.own(f"@c{number}") for number in range(21)]
    client = over_http(
        w, opened(*(control("subscribe", channel=name) for name in names), headers=[GRIP])
    )
    w.settle()
    for number in (20, 0, 19):
        w.publish({"channel": names[number], "ws-message": {"content": f"to {number}"}})
    client.hear(2)


@scenario
def ws_direct_echo(w: World):
    """Frames pass both ways, and so does a close."""
    w.serve("/@/x", accepting(lambda peer: peer.echo(), "Sec-WebSocket-Protocol: chat"))
    client = w.socket("/@/x", "Sec-WebSocket-Protocol: chat, other")
    for opcode, payload in [(TEXT, "t"), (BINARY, b"\0\xff"), (PING, "pi"), (PONG, "po")]:
        client.say(opcode, payload)
        client.hear()
    client.say(CLOSE, closing(4000, "cc"))
    client.hear()
    w.note("protocol", w.requests("/@/x")[0].all("Sec-WebSocket-Protocol"))


@scenario
def ws_direct_grip(w: World):
    """Prefixes, a subscription, and what is published."""

    def talk(peer):
        peer.say(TEXT, "c:" + json.dumps({"type": "subscribe", "channel": w.own("@a")}))
        peer.say(TEXT, "raw")
        peer.say(TEXT, "m:A", first=0)
        peer.say(0, "B", first=FIN)
        while peer.frame():
            pass

    w.serve("/@/x", accepting(talk, GRIP))
    client = w.socket("/@/x")
    client.hear()
    w.settle()
    push(w, {"content": "published"})
    client.hear()


@scenario
def ws_direct_close_of_the_backend(w: World):
    """Its code and reason are the client's."""

    def talk(peer):
        peer.say(TEXT, "last")
        peer.say(CLOSE, closing(4010, "bb"))
        peer.frame()

    w.serve("/@/x", accepting(talk))
    w.socket("/@/x").hear_all()


@scenario
def ws_direct_rejected(w: World):
    """The backend's answer is the client's."""
    w.page("/@/x", "WWW-Authenticate: Basic", status="401 Unauthorized", body="who?\n")
    w.socket("/@/x")


@scenario
def ws_direct_nonsense(w: World):
    """An accept that is not one."""
    raw = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    w.serve("/@/x", raw.encode())
    w.socket("/@/x")
