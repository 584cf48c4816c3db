"""Scenarios: held streams, what reaches them and in which order, their filters and their links."""

from .backend import answer
from .registry import scenario, table
from .world import World, action, item, reply


def ended(w: World, client, channel="@a"):
    """Ends a stream by an item, and reads all that came before."""
    w.publish(action(channel, "close", no_seq=True))
    client.rest()


@scenario
def stream_of_items(w: World):
    """Content is appended as it is; close ends the answer and not the connection."""
    w.stream("/@/x", "Grip-Channel: @a, @b", "X-A: 1")
    w.page("/@/y")
    client = w.open("/@/x")
    w.push("@a", "one\n")
    w.push("@other", "not this\n")
    w.push("@b", "two\n")
    w.publish(reply("@a", "for polls\n"), item("@a", "three\n"))
    ended(w, client)
    client.request(w.own("/@/y"))
    client.answer()


@scenario
def stream_of_an_event_source(w: World):
    """An event stream keeps its headers."""
    w.page(
        "/@/x",
        "Grip-Hold: stream",
        "Grip-Channel: @a",
        "Cache-Control: no-cache",
        "X-Accel-Buffering: no",
        body="data: hi\n\n",
        kind="text/event-stream",
    )
    client = w.open("/@/x", until="hi")
    w.push("@a", "data: one\n\n")
    ended(w, client)


@scenario
def stream_of_an_old_client(w: World):
    """HTTP/1.0 gets bare bytes and the end of the connection."""
    w.stream("/@/x", "Grip-Channel: @a")
    client = w.open("/@/x", version="1.0")
    w.push("@a", "one\n")
    ended(w, client)


@scenario
def stream_pipelined(w: World):
    """What was sent behind a stream is answered after it."""
    w.stream("/@/x", "Grip-Channel: @a")
    w.page("/@/y")
    client = w.open("/@/x")
    client.request(w.own("/@/y"))
    w.push("@a", "one\n")
    ended(w, client)
    client.answer()


@scenario
def stream_that_wants_to_close(w: World):
    """Connection: close counts after the stream."""
    w.stream("/@/x", "Grip-Channel: @a")
    client = w.open("/@/x", "Connection: close")
    ended(w, client)
    client.closed()


@scenario
def stream_of_two_holds(w: World):
    """The first Grip-Hold counts."""
    w.stream("/@/x", "Grip-Hold: response", "Grip-Channel: @a")
    client = w.open("/@/x")
    w.push("@a", "one\n")
    ended(w, client)


@scenario
def stream_of_quoted_channels(w: World):
    """Quotes are part of a name; an unclosed one drops the channel."""
    w.stream("/@/x", 'Grip-Channel: "@a,b"; filter="skip-self", @z', 'Grip-Channel: @l; prev-id="x')
    client = w.open("/@/x")
    for name in ("@a,b", '"@a,b"', "@l", "@z"):
        w.push(name, f"{name}\n")
    ended(w, client, "@z")


@scenario
def stream_of_25_channels(w: World):
    """Twenty count."""
    w.stream("/@/x", "Grip-Channel: " + ", ".join(f"@{n}" for n in range(25)))
    client = w.open("/@/x")
    for n in (0, 19, 20, 24):
        w.push(f"@{n}", f"{n}\n")
    ended(w, client, "@0")


@scenario
def stream_by_json(w: World):
    """JSON lies over the headers; status and meta of both."""
    w.json(
        "/@/x",
        {
            "hold": {
                "mode": "stream",
                "channels": [{"name": "@j", "filters": ["var-subst"]}],
                "meta": {"u2": "j"},
            },
            "response": {"headers": {"X-J": "1"}, "body": "hi\n"},
        },
        "Grip-Hold: response",
        "Grip-Channel: @h",
        "Grip-Status: 404 X",
        "Grip-Set-Meta: user=h",
    )
    client = w.open("/@/x")
    w.push("@h", "header\n")
    w.push("@j", "%(user)s %(u2)s\n")
    ended(w, client, "@j")


@scenario
def stream_of_a_large_body(w: World):
    """A stream may begin with more than 100,000 bytes."""
    w.stream("/@/x", "Grip-Channel: @a", "Grip-Status: 201", "X-Q: q", body="x" * 150_000 + "hi\n")
    client = w.open("/@/x")
    w.push("@a", "later\n")
    ended(w, client)


@scenario
def stream_of_binary_items(w: World):
    """Base64 is read leniently."""
    w.stream("/@/x", "Grip-Channel: @a")
    client = w.open("/@/x")
    w.publish({"channel": "@a", "http-stream": {"content-bin": "!!AAE*CAw"}})
    w.publish({"channel": "@a", "http-stream": {"content": "x", "content-bin": "Ymlu"}})
    ended(w, client)


@scenario
def stream_of_a_batch(w: World):
    """A batch over two channels keeps its order."""
    w.stream("/@/x", "Grip-Channel: @a, @b")
    client = w.open("/@/x")
    w.publish(*[item("@a" if n % 3 else "@b", f"{n},") for n in range(40)])
    client.expect("39,")
    ended(w, client)


@scenario
def stream_with_a_hint(w: World):
    """Without a link there is nothing to ask."""
    w.stream("/@/x", "Grip-Channel: @a")
    client = w.open("/@/x")
    w.publish(action("@a", "hint"))
    w.push("@a", "one\n")
    ended(w, client)


def kept_alive(w: World, value, until):
    """What a quiet stream sends."""
    w.stream("/@/x", f"Grip-Keep-Alive: {value}", "Grip-Channel: @a")
    client = w.client()
    client.request(w.own("/@/x"))
    client.head()
    client.expect("hi\n" + until)
    client.exchanges[-1].body = client.exchanges[-1].body[: len("hi\n" + until)]


table(
    "keep_alive",
    [
        ("raw", r"ka\n; timeout=1", "ka\\n"),
        ("cstring", r"a\x3bb\r\n\\ \q\t; format=cstring; timeout=1", "a;b\r\n\\ "),
        ("base64", "a2FcCg==; format=base64; timeout=1", "ka\\\n"),
        ("quoted", '"q;x"; timeout=1', '"q'),
        ("zero", "ka; timeout=0", "ka"),
        ("interval", "ka; timeout=1; mode=interval", "kaka"),
        ("capital_names", "ka; TIMEOUT=1; MODE=interval", "kaka"),
    ],
    kept_alive,
)


def ordered(w: World, items, last):
    """Items with ids; `last` is what comes at the end."""
    w.warm("@a")
    w.stream("/@/x", "Grip-Channel: @a")
    client = w.open("/@/x")
    w.publish(*items)
    client.expect(last)
    ended(w, client)


def seq(id, prev=None, **more):  # noqa: A002
    """An item whose content is its id and a comma."""
    return item("@a", f"{id},", id=id, prev=prev, **more)


FIRST = seq("1")
NO_ID = item("@a", "none,")

table(
    "order",
    [
        ("chain", [FIRST, seq("3", "2"), seq("4", "3"), seq("2", "1")], "4,"),
        ("gap", [FIRST, seq("3", "2")], "3,"),
        ("late", [FIRST, seq("2", "1"), seq("3", "2"), seq("x", "1"), seq("4", "3")], "x,"),
        ("others_pass", [FIRST, seq("3", "2"), seq("9"), NO_ID, seq("20", "19")], "3,"),
        ("no_seq", [FIRST, seq("3", "2", no_seq=True), seq("2", "1")], "2,"),
        ("one_waits", [FIRST, seq("3a", "2"), seq("3b", "2"), seq("2", "1"), seq("9")], "9,"),
        ("same_id", [FIRST, FIRST, seq("1", no_seq=True), seq("2")], "2,"),
        ("empty_id", [seq(""), seq("1", "")], "1,"),
    ],
    ordered,
)


@scenario
def same_id_without_subscriber(w: World):
    """An id counts also when nobody was there."""
    w.stream("/@/x", "Grip-Channel: @a, @b")
    w.publish(item("@a", "x1,", id="x1"))
    client = w.open("/@/x")
    w.publish(item("@a", "x1,", id="x1"), item("@b", "other,", id="x1"))
    ended(w, client, "@b")


def filtered(w: World, headers, items):
    """Items for a stream with filters, on a usual and on a debug route."""
    for path in ("/@/x", "/debug/@/x"):
        w.stream(path, *headers)
    clients = [w.open(path) for path in ("/@/x", "/debug/@/x")]
    w.publish(*items)
    w.push("@a", "end")
    for client in clients:
        client.expect("end")
    w.publish(action("@a", "close"))
    for client in clients:
        client.rest()


def meta(text, **pairs):
    """An item with meta."""
    return item("@a", text, meta=pairs)


def content(text, *filters):
    """An item with content filters."""
    return {
        "channel": "@a",
        "http-stream": {"content": text, "content-filters": list(filters)},
    }


USER = "Grip-Set-Meta: user=u"

table(
    "filter",
    [
        (
            "skip_self",
            ["Grip-Channel: @a; filter=skip-self", USER],
            [meta("u,", sender="u"), meta("v,", sender="v"), meta("none,")],
        ),
        (
            "skip_self_in_capitals",
            ["Grip-Channel: @a; FILTER=skip-self", USER],
            [meta("u,", sender="u")],
        ),
        (
            "skip_users",
            ["Grip-Channel: @a; filter=skip-users", USER],
            [meta("in,", skip_users="a, u ,b"), meta("out,", skip_users="a,U"), meta("none,")],
        ),
        (
            "require_sub",
            ["Grip-Channel: @a; filter=require-sub, @other"],
            [meta("yes,", require_sub="@other"), meta("no,", require_sub="@nope"), meta("any,")],
        ),
        (
            "var_subst",
            ["Grip-Channel: @a; filter=var-subst", USER],
            [item("@a", "<%(user)s> 100%%,")],
        ),
        (
            "var_subst_unknown",
            ["Grip-Channel: @a; filter=var-subst", USER],
            [item("@a", "%(nope)s,"), item("@a", "good,")],
        ),
        ("unknown", ["Grip-Channel: @a; filter=no-such"], [item("@a", "x,")]),
        (
            "content_filters_that_match",
            ["Grip-Channel: @a; filter=skip-self; filter=var-subst", USER],
            [content("<%(user)s>,", "var-subst")],
        ),
        (
            "content_filters_that_do_not",
            ["Grip-Channel: @a; filter=var-subst", USER],
            [content("no,"), content("good,", "var-subst")],
        ),
        (
            "six",
            ["Grip-Channel: @a" + "".join(f"; filter=f{n}" for n in range(6))],
            [item("@a", "x,")],
        ),
    ],
    filtered,
)


@scenario
def filter_build_id(w: World):
    """The item's own id, in the form that the instruct wants."""
    w.warm("@a")
    w.stream(
        "/@/x",
        "Grip-Channel: @a; prev-id=5; filter=build-id",
        "Grip-Set-Meta: id_format=e%(@a)s",
        "Grip-Link: </@/next>; rel=next",
    )
    client = w.open("/@/x")
    w.publish(item("@a", "id: %I\n", id="6", prev="5"))
    w.publish(item("@a", "id: %I 100%%\n", id="7", prev="6"))
    client.expect("100%\n")
    w.publish(action("@a", "close", id="8", prev="7"))
    client.rest()


@scenario
def filter_on_the_first_body(w: World):
    """build-id there has no channel's id to fill in."""
    for path in ("/@/x", "/debug/@/x"):
        w.page(
            path,
            "Grip-Channel: @a; filter=build-id",
            "Grip-Set-Meta: id_format=x",
            body="id=%I",
        )
        w.get(path)


# --- next links ---

NEXT = "Grip-Link: <next>; rel=next; timeout=60"


@scenario
def link_without_hold(w: World):
    """Followed at once; the status of what it leads to does not matter."""
    w.page("/@/x", "Grip-Link: </@/b>; rel=next", body="one\n")
    w.page("/@/b", body="two\n", status="202 Accepted")
    w.get("/@/x")
    w.asked("/@/b")


@scenario
def link_of_json(w: World):
    """A JSON instruct may have a link by header."""
    w.json("/@/x", {"response": {"body": "one\n"}}, "Grip-Link: </@/b>; rel=next")
    w.page("/@/b", body="two\n")
    w.get("/@/x")


@scenario
def link_after_link(w: World):
    """Each is relative to where it stands."""
    w.page("/@/x/a", "Grip-Link: <y/b?q=1>; rel=next", body="1")
    w.page("/@/x/y/b", "Grip-Link: <../c>; rel=next", body="2")
    w.page("/@/x/c", "Grip-Link: <?q=2>; rel=next", body="3")
    w.page("/@/x/c", body="4")
    w.get("/@/x/a")
    for path in ("/@/x/y/b", "/@/x/c"):
        w.asked(path)


@scenario
def link_by_timer(w: World):
    """Fetched when its time is over; its body is appended and its channels are new."""
    for name in ("@a", "@b"):
        w.warm(name)
    w.stream("/@/x", "Grip-Channel: @a", "Grip-Link: </@/next>; rel=next; timeout=1")
    w.stream("/@/next", "Grip-Channel: @b", body="next\n")
    client = w.open("/@/x")
    client.expect("next\n")
    w.settle()
    w.push("@a", "gone\n")
    w.push("@b", "new\n")
    ended(w, client, "@b")
    w.asked("/@/next")


@scenario
def link_of_a_new_channel(w: World):
    """The first subscriber of a channel fetches its link once."""
    w.stream("/@/x", "Grip-Channel: @a", "Grip-Link: </@/next>; rel=next; timeout=60")
    w.stream("/@/next", "Grip-Channel: @a", body="next\n")
    client = w.open("/@/x")
    client.expect("next\n")
    ended(w, client)
    w.asked("/@/next")


def linked(w: World, published, *pages, channel="@a", next_channel="@a"):
    """Items for a stream with a link; pages are what the link answers."""
    w.warm("@a")
    for path in ("/@/x", "/debug/@/x"):
        w.stream(path, f"Grip-Channel: {channel}", NEXT)
    for page in pages:
        for path in ("/@/next", "/debug/@/next"):
            page(w, path, next_channel)
    clients = [w.open(path) for path in ("/@/x", "/debug/@/x")]
    w.publish(*published)
    for client in clients:
        client.expect("fresh,")
    w.settle()
    w.publish(item("@a", "end", id="16", prev="15", no_seq=True))
    for client in clients:
        client.expect("end")
    w.publish(action("@a", "close", id="17", prev="16", no_seq=True))
    for client in clients:
        client.rest()
    w.asked("/@/next")


def held(w, path, channel):
    """A link's answer that holds on."""
    w.stream(path, f"Grip-Channel: {channel}", NEXT, body="fresh,")


def over(w, path, _channel):
    """A link's answer that ends the stream."""
    w.page(path, body="fresh,")


def failing(w, path, _channel):
    """A link's answer that counts for nothing."""
    w.serve(path, answer("404 Not Found", [], "no\n"))


def polling(w, path, channel):
    """A link's answer that would be a long-poll."""
    w.poll(path, f"Grip-Channel: {channel}")


def broken(w, path, _channel):
    """A link's answer that is no instruct."""
    w.page(path, "Grip-Hold: foo", body="broken\n")


def by_json(w, path, _channel):
    """A link's answer as JSON."""
    w.json(path, {"response": {"body": "json\n"}})


HINTED = [action("@a", "hint")]

for _name, _pages in {
    "held": [held],
    "that_ends": [over],
    "that_recovers": [failing, failing, held],
    "of_a_poll": [polling],
    "that_is_broken": [broken],
    "by_json": [by_json],
}.items():
    table(f"hint_link_{_name}", [("now", HINTED, *_pages)], linked)


def gap(w: World, published):
    """Items for a stream that knows its last id; its link brings it up to 15."""
    linked(w, published, held, channel="@a; prev-id=9", next_channel="@a; prev-id=15")


table(
    "gap",
    [
        (
            "in_ids",
            [
                item("@a", "10,", id="10", prev="9"),
                item("@a", "12,", id="12", prev="10", no_seq=True),
                item("@a", "15,", id="15", prev="14", no_seq=True),
            ],
        ),
        ("of_an_item_without_ids", [item("@a", "lost,")]),
    ],
    gap,
)
