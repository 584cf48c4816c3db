"""WebSockets as django-grip's README has them: `websocket_only` and `request.wscontext`."""

import json

from django.http import HttpResponse, HttpResponseForbidden
from django_grip import publish as grip_publish
from django_grip import websocket_only
from gripcontrol import WebSocketMessageFormat

CHANNEL = "room"


@websocket_only
def socket(request):
    """Subscribes whoever connects, and answers each message as `answer` says."""
    context = request.wscontext
    if context.is_opening():
        context.accept()
        context.subscribe(CHANNEL)
    if not context.in_events:
        context.send("asked again")
    try:
        while context.can_recv():
            answer(context, context.recv())
    except OSError:
        print("client vanished", flush=True)


def answer(context, message):
    """None is the client's close."""
    if message is None:
        context.close(context.close_code)
    elif isinstance(message, bytes):
        context.send_binary(message)
    elif message.startswith("leave "):
        context.close(int(message.removeprefix("leave ")))
    elif message.startswith("name "):
        context.meta["name"] = message.removeprefix("name ")
    elif message == "who?":
        context.send(context.meta["name"])
    else:
        context.send(message)


@websocket_only
def refused(request):
    """Accepts nobody."""
    return HttpResponseForbidden("not today\n")


def publish(request):
    """Publishes what a WebSocketMessageFormat is made of: its arguments, as JSON."""
    form = WebSocketMessageFormat(**json.loads(request.body))
    grip_publish(CHANNEL, form, blocking=True)
    return HttpResponse()
