"""Scenarios: pages of other sites, with CORS and JSON-P. `/aco/`, `/basic/` and `/own/` are routes
that have them."""

import json
import time
from urllib.parse import quote

from .registry import scenario, table
from .world import World, action, reply

FROM = "Origin: http://other.test"


# --- CORS ---


@scenario
def cors_of_a_page(w: World):
    """From nowhere, from somewhere, and by a method that is never JSON-P."""
    w.page("/aco/@/x", "X-A: 1", "Set-Cookie: a=1", "Set-Cookie: b=2", "Cache-Control: no-store")
    w.get("/aco/@/x")
    w.get("/aco/@/x", FROM)
    w.get("/aco/@/x?callback=f", FROM, method="POST")
    w.get("/aco/@/x?callback=f", FROM, method="HEAD")
    w.asked("/aco/@/x")


@scenario
def cors_preflight(w: World):
    """It goes to the backend; the answer grants what it asks for."""
    w.page("/aco/@/x", status="204 No Content", body="")
    asked = ["Access-Control-Request-Method: PATCH", "Access-Control-Request-Headers: X-A, X-B"]
    w.get("/aco/@/x", FROM, *asked, "Access-Control-Request-Headers: x-c", method="OPTIONS")
    w.asked("/aco/@/x")


@scenario
def cors_of_the_backends_own(w: World):
    """What the backend says stands."""
    own = ["Access-Control-Allow-Origin: http://its.test", "Access-Control-Expose-Headers: X-B"]
    w.page("/aco/@/x", "X-A: 1", *own, "Access-Control-Max-Age: 1")
    w.get("/aco/@/x", FROM)


@scenario
def cors_of_an_answer_without_a_body(w: World):
    """Headers need no body."""
    w.page("/aco/@/x", "X-A: 1", status="304 Not Modified", body="")
    w.get("/aco/@/x")


@scenario
def cors_of_an_error(w: World):
    """The proxy's own answers may be read, too."""
    w.get("/aco/dead/@/x", FROM)


@scenario
def cors_of_a_bad_instruct(w: World):
    """The same where the backend is at fault."""
    w.page("/aco/@/x", "Grip-Hold: nonsense")
    w.get("/aco/@/x", FROM)


@scenario
def cors_of_an_instruct_without_a_hold(w: World):
    """An instruct that is answered at once."""
    w.page("/aco/@/x", "Grip-Channel: @a", "Grip-Status: 201 Made", "X-A: 1")
    w.get("/aco/@/x", FROM)


@scenario
def cors_of_a_poll(w: World):
    """The answer's own headers are those that are exposed."""
    w.warm("@a")
    w.poll("/aco/@/x", "Grip-Channel: @a", "X-A: a", "Access-Control-Allow-Origin: mine")
    clients = [w.wait("/aco/@/x"), w.wait("/aco/@/x", FROM)]
    w.publish(reply("@a", "news\n", fields={"code": 404, "headers": {"X-P": "1"}}))
    for client in clients:
        client.answer()


@scenario
def cors_of_a_poll_that_waits_in_vain(w: World):
    """When the time is over."""
    w.warm("@a")
    w.poll("/aco/@/x", "Grip-Channel: @a", "Grip-Timeout: 5", "Grip-Status: 202 Nothing", "X-A: a")
    w.get("/aco/@/x", FROM)


@scenario
def cors_of_a_stream(w: World):
    """At its start."""
    w.stream("/aco/@/x", "Grip-Channel: @a", "X-A: a")
    client = w.open("/aco/@/x", FROM)
    w.push("@a", "one\n")
    w.publish(action("@a", "close", no_seq=True))
    client.rest()


def refused(w: World, query):
    """A parameter that cannot be used."""
    w.page("/aco/@/x")
    w.get(f"/aco/@/x?{query}", FROM)
    w.asked("/aco/@/x")


table(
    "jsonp_fault",
    [
        ("callback", "callback="),
        ("headers", "callback=f&_headers=zz"),
        ("headers_list", "callback=f&_headers=%5B%5D"),
        ("method", "callback=f&_method="),
        ("program", "callback=alert(1)"),
    ],
    refused,
)


# --- JSON-P ---


def wrapped(w: World, target, body="fine\n", status="200 OK", *headers):
    """A page that is told by a script."""
    path = target.partition("?")[0]
    w.page(path, *headers, body=body, status=status)
    w.get(target, "X-Own: 1")
    w.asked(path)
    w.note("asked with", [[r.all(n) for n in ("Accept", "X-A", "X-Own", "Content-Type")]
                          for r in w.requests(path)])  # fmt: skip


SAYING = quote(json.dumps({"X-A": "b", "Host": "zz", "Accept": "q"}), safe="")

table(
    "jsonp",
    [
        ("usual", "/aco/@/x?callback=f"),
        ("in_a_query", "/aco/@/x?a=1&callback=f&b=%20&&c"),
        ("repeated", "/aco/@/x?callback=f&x&callback=g"),
        ("name_in_an_object", "/aco/@/x?callback=a.b%5B0%5D"),
        ("encoded_parameter", "/aco/@/x?%63allback=f"),
        ("saying_all", f"/aco/@/x?callback=f&_method=PUT&_headers={SAYING}&_body=a%2Bb+c"),
        ("own_names", "/own/@/x?cb=g&bd=%7B%7D&callback=n&_body=x"),
        ("own_callback", "/own/@/x?bd=1"),
        ("own_names_not_used", "/own/@/x?cb=g"),
        ("headers", "/aco/@/x?callback=f", "b\n", "404 Not Found", "X-A: 1", "X-A: 2", "ETag: 3"),
        ("without_content", "/aco/@/x?callback=f", "", "204 No Content"),
        ("escapes", "/aco/@/x?callback=f", 'a"b\\c\td\r\n/</\x01\x1f\x7fé€\n'),
        ("basic", "/basic/@/x?callback=f", '{"a":"b\\"c"}\n'),
        ("basic_status", "/basic/@/x?callback=f", "no", "404 Not Found"),
        ("basic_line_ends", "/basic/@/x?callback=f", "x\r\n\r\n"),
        ("basic_without_body", "/basic/@/x?callback=f", ""),
        ("cached", "/aco/@/x?callback=f", "b\n", "200 OK", "Cache-Control: max-age=7"),
    ],
    wrapped,
)


def in_pieces(w: World, target):
    """A body that comes in chunks, some time apart."""

    def serve(request):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        for piece in (head, b'5\r\non"e\n\r\n', b"4\r\ntwo\n\r\n"):
            request.connection.sendall(piece)
            time.sleep(0.3)
        return b"0\r\n\r\n"

    w.serve(target.partition("?")[0], serve)
    w.get(target)


table(
    "jsonp_pieces",
    [("extended", "/aco/@/x?callback=f"), ("basic", "/basic/@/x?callback=f")],
    in_pieces,
)


@scenario
def jsonp_of_an_error(w: World):
    """The proxy's own answer is told."""
    w.get("/aco/dead/@/x?callback=f")


@scenario
def jsonp_of_an_instruct_without_a_hold(w: World):
    """An instruct that is answered at once."""
    w.page("/aco/@/x", "Grip-Channel: @a", "Grip-Status: 201 Made", "X-A: 1", body='bo"dy\n')
    w.get("/aco/@/x?callback=f")


def poll_told(w: World, target):
    """A poll that an item answers."""
    w.warm("@a")
    path = target.partition("?")[0]
    w.poll(path, "Grip-Channel: @a", "Set-Cookie: a", "Set-Cookie: b")
    client = w.wait(target)
    w.publish(reply("@a", 'he"llo\n', fields={"code": 404, "headers": {"X-P": "1"}}))
    client.answer()
    w.asked(path)


def poll_told_in_vain(w: World, target):
    """A poll whose time is over."""
    w.warm("@a")
    w.poll(target.partition("?")[0], "Grip-Channel: @a", "Grip-Timeout: 5", "Grip-Status: 202 No")
    w.get(target)


def poll_told_again(w: World, target):
    """A poll whose request goes to the backend again, as the query has it."""
    w.warm("@a")
    path = target.partition("?")[0]
    w.poll(path, "Grip-Channel: @a")
    w.page(path, body="fresh\n")
    client = w.wait(f"{target}&_method=PUT&_body=b&q")
    w.publish(action("@a", "hint", "http-response"))
    client.answer()
    w.asked(path)


def stream_told(w: World, target):
    """A stream, to its end."""
    w.stream(target.partition("?")[0], "Grip-Channel: @a", "X-A: a")
    client = w.open(target, until="hi")
    w.push("@a", 'o"ne\n')
    w.settle()
    w.push("@a", "two")
    w.publish(action("@a", "close", no_seq=True))
    client.rest()


BOTH = [("extended", "/aco/@/x?callback=f"), ("basic", "/basic/@/x?callback=f")]

table("jsonp_poll", BOTH, poll_told)
table("jsonp_time_out", BOTH, poll_told_in_vain)
table("jsonp_retry", BOTH, poll_told_again)
table("jsonp_stream", BOTH, stream_told)


# --- WebSockets ---


@scenario
def cors_of_a_refused_websocket(w: World):
    """A handshake that the backend refuses."""
    w.page("/aco/@/x", status="401 Unauthorized", body="no\n")
    w.get(
        "/aco/@/x?callback=f",
        FROM,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
