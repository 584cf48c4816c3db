"""WebSockets of a scenario: a client that notes what it hears, and the backend's side of one."""

import base64
import hashlib
import struct

from .client import Client

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FIN = 0x80
NAMES = {TEXT: "text", BINARY: "binary", PING: "ping", PONG: "pong"}
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x12\x34\x56\x78"


class Socket(Client):
    """A client's WebSocket."""

    def __init__(self, port, target, *headers):
        super().__init__(port)
        self.messages = []
        self.request(
            target,
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {KEY}",
            *headers,
        )
        seen = self.head()
        self.is_open = " 101 " in seen.status
        if self.is_open:
            seen.framing, seen.end = "none", "complete"
            # In any order: it means nothing.
            seen.headers.sort(key=lambda line: line[0].lower())
        else:
            self.rest()

    def say(self, opcode, payload=b"", first=FIN):
        """Sends a frame."""
        self.send(frame(first | opcode, encoded(payload), masked=True))

    def hear(self, count=1):
        """Notes so many messages. Returns whether the connection is still open."""
        if not self.is_open:
            return False
        for _ in range(count):
            message = self._message()
            self.messages.append(message)
            if message in ("the end", "silence"):
                return False
            if message.startswith("close"):
                self.say(CLOSE, self._echo)
                self.messages.append(self._message())
                return False
        return True

    def hear_all(self):
        """Notes all messages up to the end."""
        while self.hear():
            pass

    def _message(self):
        whole, kind = b"", None
        while True:
            head = self.take(2)
            if head is None:
                return "the end" if self._ended else "silence"
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self.take(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.take(8))
            payload = self.take(length)
            kind = kind or head[0] & 0x0F
            whole += payload or b""
            if head[0] & FIN:
                return self._shown(kind, whole)

    def _shown(self, kind, payload):
        if kind == CLOSE:
            self._echo = payload[:2]
            code = struct.unpack(">H", payload[:2])[0] if payload else "without a code"
            return f"close {code} {payload[2:].decode('latin-1')!r}"
        text = payload.decode("latin-1")
        if len(text) > 1000 and len(set(text)) == 1:
            return f"{NAMES[kind]} of {len(text)} times {text[0]!r}"
        return f"{NAMES[kind]} {text!r}"


def accepting(talk, *headers):
    """An answer of a backend that accepts a WebSocket and then does `talk(peer)`."""

    def answer(request):
        key = request.all("Sec-WebSocket-Key")[0]
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Connection: Upgrade",
            "Upgrade: websocket",
            f"Sec-WebSocket-Accept: {accept(key)}",
            *headers,
        ]
        request.connection.sendall("\r\n".join([*lines, "", ""]).encode())
        talk(Peer(request.connection))

    return answer


class Peer:
    """The backend's side of a WebSocket."""

    def __init__(self, connection):
        self._connection = connection
        self._reader = connection.makefile("rb")

    def say(self, opcode, payload=b"", first=FIN):
        """Sends a frame."""
        self._connection.sendall(frame(first | opcode, encoded(payload), masked=False))

    def echo(self):
        """Sends every frame back, up to a close frame or the end."""
        while got := self.frame():
            self.say(got[0] & 0x0F, got[1], got[0] & FIN)
            if got[0] & 0x0F == CLOSE:
                return

    def frame(self):
        """The next frame's first byte and payload; None at the end."""
        head = self._reader.read(2)
        if len(head) < 2:
            return None
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._reader.read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._reader.read(8))
        mask = self._reader.read(4)
        payload = self._reader.read(length)
        return head[0], bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def accept(key):
    """The answer to a key."""
    both = (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()
    return base64.b64encode(hashlib.sha1(both).digest()).decode()


def encoded(payload):
    """Bytes of a text or of bytes."""
    return payload.encode() if isinstance(payload, str) else payload


def frame(first, payload, masked):
    """The bytes of a frame."""
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head = bytes([first, bit | len(payload)])
    elif len(payload) < 1 << 16:
        head = struct.pack(">BBH", first, bit | 126, len(payload))
    else:
        head = struct.pack(">BBQ", first, bit | 127, len(payload))
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


def closing(code, reason=""):
    """The payload of a close frame."""
    return struct.pack(">H", code) + reason.encode()
