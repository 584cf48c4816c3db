"""A small Flask application that speaks WebSocket-over-HTTP by gripcontrol alone.

It does by hand what django-grip does for Django, and two things that django-grip cannot: it
agrees on a subprotocol, and closes with a reason. Like many such backends it answers no pings.
GRIP_URL in the environment is the control port.
"""

import json
import os
import struct

from flask import Flask, Response, request
from gripcontrol import (
    GripPubControl,
    WebSocketEvent,
    WebSocketMessageFormat,
    decode_websocket_events,
    encode_websocket_events,
    parse_grip_uri,
    websocket_control_message,
)
from pubcontrol import Item

CHANNEL = "room"
EVENTS = "application/websocket-events"

app = Flask(__name__)
publisher = GripPubControl(parse_grip_uri(os.environ["GRIP_URL"]))


@app.post("/socket/")
def socket():
    """Subscribes whoever connects, and answers each message as `answer` says."""
    if request.content_type != EVENTS:
        return "WebSockets come through the proxy.\n", 426
    response = Response(content_type=EVENTS)
    asked = decode_websocket_events(request.get_data())
    answers = [] if asked else [message("TEXT", b"asked again")]
    for event in asked:
        answers += answer(event, response)
    response.data = encode_websocket_events(answers)
    return response


@app.post("/refused/")
def refused():
    """Accepts nobody."""
    return "not today\n", 403


@app.post("/publish/")
def publish():
    """Publishes what a WebSocketMessageFormat is made of: its arguments, as JSON."""
    form = WebSocketMessageFormat(**json.loads(request.get_data()))
    publisher.publish(CHANNEL, Item(form), blocking=True)
    return ""


def answer(event, response):
    """The events that one event is answered with; headers go to the response at once."""
    if event.type == "OPEN":
        return accept(response)
    if event.type == "CLOSE":
        return [WebSocketEvent("CLOSE", event.content)]
    if event.type == "DISCONNECT":
        print("client vanished", flush=True)
    if event.type not in ("TEXT", "BINARY"):
        return []
    content = event.content or b""
    word, _, rest = content.decode(errors="replace").partition(" ")
    if word == "leave":
        return [WebSocketEvent("CLOSE", struct.pack(">H", int(rest)) + b"you asked")]
    if word == "name":
        response.headers["Set-Meta-Name"] = rest
        return []
    if word == "who?":
        return [message("TEXT", request.headers.get("Meta-Name", "").encode())]
    return [message(event.type, content)]


def accept(response):
    """Opens with the first subprotocol that is asked for, and subscribes to the channel."""
    response.headers["Sec-WebSocket-Extensions"] = "grip"
    protocols = request.headers.get("Sec-WebSocket-Protocol")
    if protocols:
        response.headers["Sec-WebSocket-Protocol"] = protocols.split(",")[0].strip()
    subscribe = websocket_control_message("subscribe", {"channel": CHANNEL})
    return [WebSocketEvent("OPEN"), WebSocketEvent("TEXT", b"c:" + subscribe.encode())]


def message(kind, content):
    """A message for the client, as opposed to one for the proxy."""
    return WebSocketEvent(kind, b"m:" + content)
