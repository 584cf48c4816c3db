"""Scenarios: what the control port takes and refuses. Publishers are clients too."""

import json

from .registry import table
from .world import World


def asked(w: World, method, path, body="", headers=()):
    """A request to the control port."""
    status, text = w.control(method, path, body, headers)
    w.note("status", status)
    w.note("text", text)


EMPTY = '{"items":[]}'

table(
    "control",
    [
        ("publish", "POST", "/publish", EMPTY),
        ("publish_with_slash", "POST", "/publish/", EMPTY),
        ("publish_with_two_slashes", "POST", "/publish//", EMPTY),
        ("publish_with_query", "POST", "/publish?x=1", EMPTY),
        ("get_of_publish", "GET", "/publish", None),
        ("elsewhere", "GET", "/elsewhere", None),
        ("recover", "POST", "/recover", ""),
        ("get_of_recover", "GET", "/recover", None),
        ("accept_json", "POST", "/publish", EMPTY, [("Accept", "application/json")]),
        ("accept_both", "POST", "/publish", EMPTY, [("Accept", "application/json, text/plain")]),
        ("accept_weighted", "POST", "/publish", EMPTY, [("Accept", "text/*;q=0.5, text/html")]),
        ("accept_html", "POST", "/publish", EMPTY, [("Accept", "text/html")]),
        ("body_broken", "POST", "/publish", "{"),
        ("body_empty", "POST", "/publish", ""),
        ("body_number", "POST", "/publish", "5"),
        ("body_list", "POST", "/publish", "[]"),
        ("body_without_items", "POST", "/publish", "{}"),
    ],
    asked,
)


def published(w: World, item):
    """An item, and what the control port says to it."""
    asked(w, "POST", "/publish", '{"items":[%s]}' % item)


STREAM = {"http-stream": {"content": "x"}}


def with_stream(**fields):
    """An item for streams with more fields."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return json.dumps({"channel": "@c", **STREAM, **named})


def of(form, **fields):
    """An item of one form with these fields."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return json.dumps({"channel": "@c", form: named})


table(
    "item",
    [
        ("number", "5"),
        ("without_channel", json.dumps(STREAM)),
        ("with_empty_channel", with_stream(channel="")),
        ("channel_null", with_stream(channel=None)),
        ("id_number", with_stream(id=5)),
        ("id_null", with_stream(id=None)),
        ("prev_id_number", with_stream(prev_id=5)),
        ("no_seq_number", with_stream(no_seq=1)),
        ("size_negative", with_stream(size=-1)),
        ("size_text", with_stream(size="x")),
        ("meta_number", with_stream(meta={"a": 1})),
        ("unknown_fields", with_stream(user_tags=5, zzz=[])),
        ("without_format", '{"channel":"@c"}'),
        ("formats_empty", '{"channel":"@c","formats":{}}'),
        ("formats_list", '{"channel":"@c","formats":[]}'),
        ("formats_unknown", '{"channel":"@c","formats":{"zzz":{}}}'),
        (
            "formats_beside_shorthand",
            '{"channel":"@c","formats":{"http-stream":{"content":"x"}},"http-stream":5}',
        ),
        ("format_null", '{"channel":"@c","http-stream":null}'),
        ("stream_without_content", of("http-stream")),
        ("stream_content_number", of("http-stream", content=5)),
        ("action_unknown", of("http-stream", action="zzz")),
        ("action_null", of("http-stream", action=None)),
        ("action_hint", of("http-stream", action="hint")),
        ("action_close", of("http-stream", action="close")),
        ("action_refresh", of("http-stream", action="refresh")),
        ("content_filters_number", of("http-stream", content="x", content_filters=[5])),
        ("response_without_body", of("http-response")),
        ("response_code_text", of("http-response", body="x", code="x")),
        ("response_code_100", of("http-response", body="x", code=100)),
        ("response_code_1000", of("http-response", body="x", code=1000)),
        ("response_headers_text", of("http-response", body="x", headers=["x"])),
        ("response_headers_triple", of("http-response", body="x", headers=[["x", "y", "z"]])),
        ("response_header_break", of("http-response", body="x", headers={"X": "a\r\nY: b"})),
        ("message_without_content", of("ws-message")),
        ("message_ping", of("ws-message", type="ping")),
        ("message_of_unknown_type", of("ws-message", type="zzz", content="x")),
        ("message_close_99999", of("ws-message", action="close", code=99999)),
        ("message_close_negative", of("ws-message", action="close", code=-1)),
    ],
    published,
)
