"""Scenarios: long-polls, their answers, and their requests that go to the backend again."""

import threading

from .registry import scenario, table
from .world import World, action, item, reply


def answered(w: World, headers, fields, body="hello\n"):
    """A poll that an item answers."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a", *headers)
    client = w.wait("/@/x")
    w.publish(reply("@a", body, fields=fields))
    client.answer()


COOKIES = ["Set-Cookie: a=1", "Set-Cookie: b=2"]

table(
    "poll",
    [
        (
            "headers",
            ["X-Orig: 1", "X-Two: o"],
            {"code": 201, "reason": "Yep", "headers": {"X-Two": "pub", "X-Pub": "2", "Grip-F": "z"}},
        ),
        ("headers_in_a_list", ["X-Two: o"], {"headers": [["B", "1"], ["A", "2"], ["B", "3"]]}),
        ("status_is_the_items", ["Grip-Status: 404 Foo"], {}),
        ("code_of_the_item", [], {"code": 404}),
        ("code_without_name", [], {"code": 299}),
        (
            "cookies",
            COOKIES,
            {
                "headers": {
                    "content-type": "text/html",
                    "set-cookie": "c=3",
                    "Content-Length": "99",
                    "Connection": "close",
                    "Transfer-Encoding": "chunked",
                }
            },
        ),
        ("204", [], {"code": 204}),
        ("binary", [], {"body-bin": "AP8AYWJj"}),
        ("empty_body", [], {}, ""),
        (
            "exposed_by_item",
            ["X-Orig: 1", "X-Two: o"],
            {"headers": {"Grip-Expose-Headers": "X-Orig, X-Pub", "X-Pub": "2"}},
        ),
    ],
    answered,
)


def patched(w: World, patch):
    """A poll whose body an item patches."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a", body='{"a": 1, "l": [1, 2, 3], "o": {"k": "v"}}\n')
    client = w.wait("/@/x")
    w.publish(item("@a", "") | {"http-response": {"body-patch": patch}})
    client.answer()


table(
    "patch",
    [
        ("replace", [{"op": "replace", "path": "/a", "value": "z"}]),
        ("append", [{"op": "add", "path": "/l/-", "value": 7}]),
        ("add", [{"op": "add", "path": "/n", "value": None}]),
        ("remove", [{"op": "remove", "path": "/o/k"}]),
        ("move", [{"op": "move", "from": "/a", "path": "/b"}]),
        ("copy", [{"op": "copy", "from": "/l", "path": "/m"}]),
        ("test", [{"op": "test", "path": "/a", "value": 1}, {"op": "remove", "path": "/a"}]),
        ("add_inside", [{"op": "add", "path": "/l/1", "value": 9}]),
        ("of_what_is_not_there", [{"op": "remove", "path": "/zz"}]),
        ("failed_test", [{"op": "test", "path": "/a", "value": 2}]),
    ],
    patched,
)


@scenario
def poll_timeout(w: World):
    """The instruct's own answer comes when the time is over."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a", "Grip-Timeout: 1", "Grip-Status: 202 Nothing", "X-A: a")
    w.get("/@/x")
    w.asked("/@/x")


@scenario
def poll_without_channel(w: World):
    """A hold that nothing can end but time."""
    w.poll("/@/x", "Grip-Timeout: 5")
    w.get("/@/x")


@scenario
def poll_of_a_new_channel(w: World):
    """The first subscriber's request goes to the backend once more."""
    w.poll("/@/x", "Grip-Channel: @a", "Grip-Timeout: 5", "X-N: 1")
    w.poll("/@/x", "Grip-Channel: @a", "Grip-Timeout: 5", "X-N: 2")
    w.get("/@/x")
    w.asked("/@/x")


@scenario
def poll_gets_only_its_format(w: World):
    """Items for streams, and actions without meaning, do not answer it."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a")
    client = w.wait("/@/x")
    w.push("@a", "stream")
    w.publish(action("@a", "close", "http-response"))
    w.publish(reply("@a", "news\n"))
    client.answer()


@scenario
def poll_then_another_request(w: World):
    """The connection goes on after the answer."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a")
    w.page("/@/y")
    client = w.wait("/@/x")
    w.publish(reply("@a", "news\n"))
    client.answer()
    client.request(w.own("/@/y"))
    client.answer()


@scenario
def poll_of_an_old_client(w: World):
    """HTTP/1.0 may poll."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a")
    client = w.wait("/@/x", version="1.0")
    w.publish(reply("@a", "news\n"))
    client.answer()
    client.closed()


@scenario
def poll_pipelined(w: World):
    """What was sent behind a poll is answered after it."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a")
    w.page("/@/y")
    client = w.wait("/@/x")
    client.request(w.own("/@/y"))
    w.publish(reply("@a", "news\n"))
    client.answer()
    client.answer()


@scenario
def poll_by_json(w: World):
    """A hold without mode is a long-poll."""
    w.warm("@a")
    w.json("/@/x", {"hold": {"channels": [{"name": "@a"}]}, "response": {"body": "late\n"}})
    client = w.wait("/@/x")
    w.publish(reply("@a", "news\n"))
    client.answer()


@scenario
def polls_of_many(w: World):
    """One item answers all."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a")
    clients = [w.wait("/@/x") for _ in range(3)]
    w.publish(reply("@a", "news\n"))
    for client in clients:
        client.answer()


@scenario
def poll_that_an_item_follows(w: World):
    """The item's prev-id is the poll's."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a; prev-id=1")
    client = w.wait("/@/x")
    w.publish(reply("@a", "two\n", id="2", prev="1"))
    client.answer()
    w.asked("/@/x")


def asks_again(w: World, channel, published):
    """Something makes the poll's request go to the backend again, which answers plainly."""
    for name in ("@a", "@b", "@c"):
        w.warm(name)
    w.poll("/@/x", f"Grip-Channel: {channel}")
    w.page("/@/x", body="fresh\n")
    client = w.wait("/@/x?q=1", "X-Mine: m", method="POST", body="abc")
    w.publish(published)
    client.answer()
    w.asked("/@/x")


HINT = "http-response"

table(
    "retry",
    [
        ("hint", "@a", action("@a", "hint", HINT)),
        ("hint_with_prev_id", "@a; prev-id=5", action("@a", "hint", HINT, id="6", prev="5")),
        ("gap", "@a; prev-id=1", reply("@a", "x", id="9", prev="8")),
        ("item_without_prev_id", "@a; prev-id=1", reply("@a", "x", id="9")),
        ("item_without_ids", "@a; prev-id=1", reply("@a", "x")),
        ("three_channels", '@a; prev-id=1, @b; prev-id="2;x", @c', action("@c", "hint", HINT)),
    ],
    asks_again,
)


@scenario
def retry_by_conflict(w: World):
    """Another subscriber is further on."""
    w.warm("@a")
    w.stream("/@/s", "Grip-Channel: @a")
    w.poll("/@/x", "Grip-Channel: @a; prev-id=1")
    w.page("/@/x", body="fresh\n")
    other = w.open("/@/s")
    w.push("@a", "two\n", id="2")
    other.expect("two\n")
    w.get("/@/x")
    w.asked("/@/x")


@scenario
def retry_after_linger(w: World):
    """An item that came between two polls is noticed by the second one."""
    w.warm("@a")
    w.poll("/@/1", "Grip-Channel: @a")
    w.poll("/@/2", "Grip-Channel: @a; prev-id=5")
    w.page("/@/2", body="fresh\n")
    client = w.wait("/@/1")
    w.publish(reply("@a", "five\n", id="5", prev="4"))
    client.answer()
    client.close()
    w.publish(reply("@a", "six\n", id="6", prev="5"))
    w.get("/@/2")
    w.asked("/@/2")


@scenario
def retry_that_fails(w: World):
    """The backend closes the connection the second time."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a")
    w.serve("/@/x", None)
    client = w.wait("/@/x")
    w.publish(action("@a", "hint", HINT))
    client.answer()


@scenario
def retry_with_a_new_instruct(w: World):
    """The second answer's channel and meta count."""
    for name in ("@a", "@b"):
        w.warm(name)
    w.poll("/@/x", "Grip-Channel: @a; filter=skip-self", "Grip-Set-Meta: user=a")
    w.poll("/@/x", "Grip-Channel: @b; filter=skip-self", "Grip-Set-Meta: user=b")
    client = w.wait("/@/x")
    w.publish(action("@a", "hint", HINT))
    w.wait_asked("/@/x", 2)
    w.settle()
    w.publish(reply("@a", "old channel\n"))
    w.publish(reply("@b", "skipped\n", meta={"sender": "b"}))
    w.publish(reply("@b", "from a\n", meta={"sender": "a"}))
    client.answer()


@scenario
def retry_misses_nothing(w: World):
    """An item comes while the backend is asked again."""
    w.warm("@a")
    go_on = threading.Event()
    pages = []

    def late(_request):
        go_on.wait(5)
        return pages[0]

    w.poll("/@/x", "Grip-Channel: @a", "Grip-Timeout: 5")
    pages.append(w.page_of("/@/x"))
    w.serve("/@/x", late)
    client = w.wait("/@/x")
    w.publish(action("@a", "hint", HINT))
    w.wait_asked("/@/x", 2)
    w.publish(reply("@a", "meanwhile\n"))
    w.settle()
    go_on.set()
    client.answer()


@scenario
def poll_with_variables(w: World):
    """var-subst fills in what the instruct's meta has."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a; filter=var-subst", "Grip-Set-Meta: user=u")
    client = w.wait("/@/x")
    w.publish(reply("@a", "<%(user)s> 100%%\n"))
    client.answer()


@scenario
def poll_with_an_unknown_variable(w: World):
    """An item that cannot be filled in; a good one follows."""
    w.warm("@a")
    w.poll("/@/x", "Grip-Channel: @a; filter=var-subst", "Grip-Set-Meta: user=u")
    client = w.wait("/@/x")
    w.publish(reply("@a", "%(nope)s\n"))
    w.publish(reply("@a", "good\n"))
    client.answer()
