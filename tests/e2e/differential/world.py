"""What a scenario has: its own paths and channels, a backend, clients and the control port.

`@` in paths, header lines, channels and items becomes the scenario's name, so that all scenarios
can run at once before one proxy. Paths that begin with `/debug/` are on a debug route.
"""

import http.client
import json
import time

from .backend import answer
from .client import DEADLINE, Client
from .websocket import Socket

# Nothing tells when a hold has begun; publishing earlier would reach nobody.
SETTLE = 0.5


class World:
    """One run of one scenario before one proxy."""

    def __init__(self, name, proxy, backend):
        self.name = name
        self._proxy = proxy
        self._backend = backend
        self._clients = []
        self._notes = {}

    # --- the backend ---

    def page(self, path, *headers, body="body\n", status="200 OK", kind="text/plain"):
        """The next answer of a path; the last one repeats."""
        lines = [f"Content-Type: {kind}", *headers] if kind else headers
        self.serve(path, answer(status, [self.own(line) for line in lines], body))

    def json(self, path, instruct, *headers, status="200 OK"):
        """A JSON instruct as the next answer; text is taken as it is."""
        body = instruct if isinstance(instruct, str) else json.dumps(instruct)
        self.page(
            path, *headers, body=self.own(body), status=status, kind="application/grip-instruct"
        )

    def stream(self, path, *headers, body="hi\n"):
        """An answer that holds a stream."""
        self.page(path, "Grip-Hold: stream", *headers, body=body)

    def poll(self, path, *headers, body="late\n"):
        """An answer that holds a long-poll."""
        self.page(path, "Grip-Hold: response", *headers, body=body)

    def serve(self, path, raw):
        """Bytes, `None` or a function as the next answer of a path."""
        self._backend.add(self.own(path), raw)

    def page_of(self, path):
        """The last answer added to a path."""
        return self._backend.last(self.own(path))

    def requests(self, path):
        """The requests for a path so far."""
        return [r for r in self._backend.asked(self.own(path)) if r.path == self.own(path)]

    def wait_asked(self, path, count):
        """Waits until the backend was asked for a path so often."""
        return self._backend.wait_asked(self.own(path).split("?")[0], count, DEADLINE)

    def asked(self, path):
        """Notes how often the backend was asked for a path, and with which last ids."""
        self._notes[f"asked {path}"] = [
            [r.method, r.target, sorted(r.all("Grip-Last")), r.body.decode("latin-1")]
            for r in self.requests(path)
        ]

    def note(self, name, value):
        """Notes anything else that was seen."""
        self._notes[name] = value

    # --- clients ---

    def client(self):
        """A connection."""
        client = Client(self._proxy.client_port)
        self._clients.append(client)
        return client

    def socket(self, path, *headers):
        """A WebSocket that was asked for and answered."""
        client = Socket(self._proxy.client_port, self.own(path), *headers)
        self._clients.append(client)
        return client

    def get(self, path, *headers, **options):
        """A request whose whole answer is read."""
        client = self.client()
        client.request(self.own(path), *headers, **options)
        client.answer(bodiless=options.get("method") == "HEAD")
        return client

    def open(self, path, *headers, until="hi\n", **options):
        """A stream that is held: its first body was read."""
        client = self.client()
        client.request(self.own(path), *headers, **options)
        client.head()
        client.expect(until)
        self.settle()
        return client

    def wait(self, path, *headers, **options):
        """A long-poll that is held."""
        client = self.client()
        client.request(self.own(path), *headers, **options)
        self.wait_asked(path, 1)
        self.settle()
        return client

    def settle(self):
        """Gives a hold time to begin."""
        time.sleep(SETTLE)

    # --- the control port ---

    def warm(self, channel):
        """Makes a channel one that is not new: a new one's holds ask the backend once more."""
        path = f"/@/warm/{channel}"
        self.poll(path, f"Grip-Channel: {channel}")
        self.page(path)
        client = Client(self._proxy.client_port)
        client.request(self.own(path))
        self._backend.wait_asked(self.own(path), 2, 3)
        client.head()
        client.close()

    def publish(self, *items):
        """Publishes items as one batch, which must be accepted."""
        status, text = self.control("POST", "/publish/", json.dumps({"items": items}))
        assert status == 200, text

    def push(self, channel, text, **more):
        """Publishes text to the streams of a channel."""
        self.publish(item(channel, text, **more))

    def control(self, method, path, body=None, headers=()):
        """A request to the control port; status and text of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._proxy.control_port, timeout=10)
        body = self.own(body).encode() if body is not None else None
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    # --- the outcome ---

    def own(self, text):
        """Text with the scenario's own name in it."""
        return text.replace("@", self.name)

    def facts(self):
        """Everything that was seen, by name."""
        facts = {}
        for number, client in enumerate(self._clients, 1):
            for nth, exchange in enumerate(client.exchanges, 1):
                for name, value in exchange.facts().items():
                    facts[f"client {number} answer {nth} {name}"] = value
            if client.messages:
                facts[f"client {number} messages"] = client.messages
            client.close()
        return {**facts, **self._notes}


def item(channel, text, id=None, prev=None, **more):  # noqa: A002, the field's name
    """An item for streams. Keyword names have `_` for `-`."""
    made = {"channel": channel, "http-stream": {"content": text}}
    if id is not None:
        made["id"] = id
    if prev is not None:
        made["prev-id"] = prev
    return {**made, **{key.replace("_", "-"): value for key, value in more.items()}}


def reply(channel, body, **more):
    """An item for long-polls; `fields` are more of its form."""
    fields = more.pop("fields", {})
    made = item(channel, "", **more)
    del made["http-stream"]
    return {**made, "http-response": {"body": body, **fields}}


def action(channel, name, form="http-stream", **more):
    """An item that asks for an action."""
    made = item(channel, "", **more)
    del made["http-stream"]
    return {**made, form: {"action": name}}
