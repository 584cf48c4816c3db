"""django-eventstream with its storage on: a client that is cut again and again misses nothing.

A publisher sends without pause. The client loses its connection at random moments, comes back with
`Last-Event-ID`, and gets what it missed: by the site's first answer, by the proxy, or by the next
link that the proxy follows when it sees a gap. Every way must lead to the same list of events.
"""

import http.client
import json
import random
import socket
import struct
import time

CUTS = 200
LONGEST = 0.2  # seconds until a cut; Django answers in a tenth of it
SEED = 4


def test_cuts_lose_and_double_nothing(make_site):
    """200 forced cuts while events are published: all events, each once, in order."""
    site = make_site(env={"E2E_STORAGE": "1"})
    site.manage("migrate", "--verbosity=0")
    chance = random.Random(SEED)
    reader = Reader(site.proxy.client_port)

    publisher = site.start_manage("pour", "test")
    for _ in range(CUTS):
        reader.connect()
        reader.read_for(chance.uniform(0, LONGEST))
        reader.cut(hard=chance.random() < 0.5)
    publisher.process.stdin.close()
    sent = int(publisher.wait_for(r"^sent (\d+)$")[1])
    reader.connect()
    reader.read_until(sent - 1)

    assert sent > CUTS, "the publisher was busy all the time"
    assert reader.numbers == list(range(sent)), first_fault(reader.numbers, sent)


class Reader:
    """An EventSource that is made to lose its connections. Only whole events count."""

    def __init__(self, port):
        self.numbers = []
        self._port = port
        self._last_id = ""

    def connect(self):
        """Opens the stream where the last event left it; from the very first one at the start."""
        self._buffer = b""
        self._raw = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        headers = f"Last-Event-ID: {self._last_id}\r\n" if self._last_id else ""
        path = "/events/?lastEventId=test:0"
        self._raw.sendall(f"GET {path} HTTP/1.1\r\nHost: h.test\r\n{headers}\r\n".encode())
        self._response = None

    def read_for(self, seconds):
        """Reads for a time, in whatever state that leaves the connection."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._raw.settimeout(left)
            try:
                self._read()
            except TimeoutError:
                return

    def read_until(self, number):
        """Reads until an event with this number came."""
        deadline = time.monotonic() + 20
        while not self.numbers or self.numbers[-1] < number:
            left = deadline - time.monotonic()
            assert left > 0, f"event {number} never came; the last were {self.numbers[-5:]}"
            self._raw.settimeout(left)
            try:
                self._read()
            except TimeoutError:
                continue

    def cut(self, *, hard):
        """Ends the connection: with a reset, or as one that is closed."""
        if hard:
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self._response:
            self._response.close()
        self._raw.close()

    def _read(self):
        """One piece of the stream, or its head."""
        if self._response is None:
            response = http.client.HTTPResponse(self._raw)
            response.begin()
            assert response.status == 200, response.status
            self._response = response
            return
        piece = self._response.read1(4096)
        assert piece, "the proxy ended the stream"
        self._buffer += piece
        while b"\n\n" in self._buffer:
            event, self._buffer = self._buffer.split(b"\n\n", 1)
            self._take(event.decode())

    def _take(self, event):
        fields = dict(line.split(":", 1) for line in event.split("\n") if line)
        fields = {name: value.removeprefix(" ") for name, value in fields.items()}
        kind = fields.get("event", "message")
        if not fields.get("data") or kind in ("stream-open", "keep-alive"):
            return
        assert kind == "message", event
        self._last_id = fields["id"]
        self.numbers.append(json.loads(fields["data"])["n"])


def first_fault(numbers, sent):
    """Where a list of numbers is no longer 0, 1, 2 and so on."""
    for at, number in enumerate(numbers):
        if number != at:
            return f"event {number} where {at} was to come: {numbers[max(0, at - 3) : at + 4]}"
    return f"{len(numbers)} events of {sent}"
