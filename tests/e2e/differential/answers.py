"""Scenarios: what an instruct makes of an answer, without anything being published."""

from .registry import scenario, table
from .world import World


def both_routes(w: World, *headers, body="body\n", status="200 OK", kind="text/plain"):
    """One page, asked on a usual and on a debug route."""
    for path in ("/@/x", "/debug/@/x"):
        w.page(path, *headers, body=body, status=status, kind=kind)
        w.get(path)


table(
    "answer",
    [
        ("channel_without_hold", "Grip-Channel: @a"),
        ("unknown_grip_header", "Grip-Foo: x", "X-A: 1"),
        ("status", "Grip-Status: 404"),
        ("status_with_reason", "Grip-Status: 404 Nothing Here"),
        ("status_unknown", "Grip-Status: 299"),
        ("status_word", "Grip-Status: abc"),
        ("status_1000", "Grip-Status: 1000"),
        ("hold_unknown", "Grip-Hold: foo", "Grip-Channel: @a"),
        ("hold_capital", "Grip-Hold: Response", "Grip-Channel: @a"),
        ("hold_empty", "Grip-Hold:", "Grip-Channel: @a"),
        ("hold_list", "Grip-Hold: stream, response", "Grip-Channel: @a"),
        ("timeout_word", "Grip-Hold: response", "Grip-Channel: @a", "Grip-Timeout: x"),
        ("timeout_fraction", "Grip-Hold: response", "Grip-Channel: @a", "Grip-Timeout: 5.5"),
        ("timeout_negative", "Grip-Hold: response", "Grip-Channel: @a", "Grip-Timeout: -1"),
        ("keep_alive_empty", "Grip-Hold: stream", "Grip-Keep-Alive: ; timeout=5"),
        ("keep_alive_escape", "Grip-Hold: stream", r"Grip-Keep-Alive: x\xZZ; format=cstring"),
        ("keep_alive_mode", "Grip-Hold: stream", "Grip-Keep-Alive: x; mode=other"),
        ("keep_alive_format", "Grip-Hold: stream", "Grip-Keep-Alive: x; format=other"),
        ("keep_alive_timeout", "Grip-Hold: stream", "Grip-Keep-Alive: x; timeout=q"),
        ("link_bare", "Grip-Link: /x; rel=next"),
        ("link_empty", "Grip-Link: <>; rel=next"),
        ("link_without_params", "Grip-Link: </x>"),
        ("link_of_another_rel", "Grip-Link: </x>; rel=prev"),
        ("link_timeout", "Grip-Link: </x>; rel=next; timeout=q"),
        ("meta_without_name", "Grip-Set-Meta: a=b, , c=d", "Grip-Channel: @a"),
        ("expose", "Grip-Expose-Headers: X-A", "X-A: 1", "X-B: 2"),
        ("expose_list", "Grip-Expose-Headers: x-a, X-B", "X-A: 1", "X-B: 2", "X-C: 3"),
        ("prev_id_without_link", "Grip-Hold: stream", "Grip-Channel: @a; prev-id=1"),
        ("repeated_headers", "Set-Cookie: a=1", "Set-Cookie: b=2", "Grip-Channel: @a"),
        ("odd_spelling", "x-weIRD: 1", "ETag: \"e\"", "Grip-Channel: @a"),
    ],
    both_routes,
)


def one_body(w: World, length, *headers):
    """A long body, asked on a usual and on a debug route."""
    both_routes(w, *headers, body="x" * length)


table(
    "body",
    [
        ("of_100000_bytes", 100_000, "Grip-Channel: @a"),
        ("of_100001_bytes", 100_001, "Grip-Channel: @a"),
        ("too_long_for_a_poll", 150_000, "Grip-Hold: response", "Grip-Channel: @a"),
        ("too_long_for_ids", 150_000, "Grip-Hold: stream", "Grip-Channel: @a; filter=build-id"),
        ("of_a_plain_answer", 150_000),
    ],
    one_body,
)


@scenario
def answer_204(w: World):
    """No content, and the connection goes on."""
    w.page("/@/x", "Grip-Channel: @a", status="204 No Content", body="")
    w.page("/@/y")
    client = w.get("/@/x")
    client.request(w.own("/@/y"))
    client.answer()


@scenario
def answer_304_with_hold(w: World):
    """Not modified: it is complete whatever is held."""
    w.page("/@/x", "Grip-Hold: stream", "Grip-Channel: @a", status="304 Not Modified", body="")
    w.get("/@/x")


def json_both(w: World, instruct, *headers, status="200 OK"):
    """A JSON instruct, asked on a usual and on a debug route."""
    for path in ("/@/x", "/debug/@/x"):
        w.json(path, instruct, *headers, status=status)
        w.get(path)


def code(value):
    """A JSON instruct with this status code."""
    return '{"response":{"code":%s,"body":"x\\n"}}' % value


table(
    "json",
    [
        (
            "response",
            {
                "response": {
                    "code": 201,
                    "reason": "Yo",
                    "headers": [["X-A", "1"], ["X-A", "2"]],
                    "body-bin": "aGk=",
                }
            },
        ),
        ("code_text", code('"404"')),
        ("code_fraction", code("404.6")),
        ("code_true", code("true")),
        ("code_null", code("null")),
        ("code_list", code("[]")),
        ("code_1000", code("1000")),
        ("reason", {"response": {"code": 200, "reason": "Fine", "body": "x"}}),
        ("status_of_header", {"response": {"body": "x"}}, "Grip-Status: 404 Nope"),
        ("code_over_header", {"response": {"code": 202, "body": "x"}}, "Grip-Status: 404 Nope"),
        ("broken", "{"),
        ("list", "[]"),
        ("scalar", "5"),
        ("hold_number", '{"hold":5}'),
        ("hold_mode", '{"hold":{"mode":"other","channels":[]}}'),
        ("hold_without_channels", '{"hold":{"mode":"stream"}}'),
        ("channel_text", '{"hold":{"channels":["a"]}}'),
        ("channel_without_name", '{"hold":{"channels":[{}]}}'),
        ("prev_id_null", '{"hold":{"channels":[{"name":"a","prev-id":null}]}}'),
        ("meta_number", '{"hold":{"channels":[],"meta":{"a":1}}}'),
        ("headers_number", '{"response":{"headers":{"A":1},"body":""}}'),
        ("empty", "{}"),
        ("without_body", '{"response":{"code":204}}'),
        ("empty_body", '{"response":{"code":204,"body":""}}'),
        (
            "headers_of_its_own",
            {
                "response": {
                    "headers": {"Grip-X": "1", "Content-Length": "99", "Connection": "keep-alive"},
                    "body": "hi",
                }
            },
        ),
    ],
    json_both,
)


@scenario
def json_of_201(w: World):
    """The JSON form needs a 200."""
    json_both(w, "{}", status="201 Created")


@scenario
def json_with_charset(w: World):
    """Parameters of the content type do not matter."""
    w.page("/@/x", body='{"response":{"body":"x"}}', kind="application/grip-instruct; charset=x")
    w.get("/@/x")


@scenario
def json_type_in_capitals(w: World):
    """Another content type is no instruct."""
    w.page("/@/x", body='{"response":{"body":"x"}}', kind="Application/Grip-Instruct")
    w.get("/@/x")


@scenario
def plain_proxying(w: World):
    """An answer without GRIP, and one that fails."""
    w.page("/@/x", "X-A: 1", status="201 Created")
    w.get("/@/x")
    w.get("/@/missing")


@scenario
def backend_that_closes(w: World):
    """The backend closes the connection without an answer."""
    w.serve("/@/x", None)
    w.get("/@/x")


@scenario
def no_backend(w: World):
    """The target refuses connections."""
    w.get("/dead/@/x")


@scenario
def client_cannot_speak_grip(w: World):
    """What a client says of GRIP does not reach the backend; gripd's own and Pushpin's do."""
    w.page("/@/x", "X-A: 1")
    w.get("/@/x", "Grip-Last: @a; last-id=1", "grip-hold: stream", "X-Mine: m")
    request = w.requests("/@/x")[0]
    names = sorted(name.lower() for name, _ in request.headers)
    w.note("grip headers", [name for name in names if name.startswith("grip-")])
    w.note("own header", request.all("X-Mine"))


@scenario
def large_request_with_hold(w: World):
    """A request of more than 100,000 bytes cannot be held."""
    w.stream("/@/x", "Grip-Channel: @a")
    w.get("/@/x", method="POST", body="x" * 100_001)


@scenario
def large_request_without_hold(w: World):
    """A plain answer has no such limit."""
    w.page("/@/x")
    w.get("/@/x", method="POST", body="x" * 100_001)


@scenario
def head_of_a_plain_page(w: World):
    """HEAD is passed on."""
    w.page("/@/x")
    client = w.get("/@/x", method="HEAD")
    client.request(w.own("/@/x"))
    client.answer()


@scenario
def head_of_a_held_page(w: World):
    """HEAD has no body, so there is nothing to hold."""
    w.stream("/@/x", "Grip-Channel: @a")
    w.page("/@/y")
    client = w.get("/@/x", method="HEAD")
    client.request(w.own("/@/y"))
    client.answer()


@scenario
def old_client_of_a_plain_page(w: World):
    """HTTP/1.0 gets its answer and the end of the connection."""
    w.page("/@/x")
    w.get("/@/x", version="1.0").closed()


@scenario
def client_that_wants_to_close(w: World):
    """Connection: close ends the connection after the answer."""
    w.page("/@/x", "Grip-Channel: @a")
    w.get("/@/x", "Connection: close").closed()
