"""A client of a scenario: a bare connection that notes every byte of what it is answered."""

import socket
import time

DEADLINE = 8  # seconds that anything may take to arrive; what did not is part of what was seen


class Exchange:
    """One answer as it was read so far."""

    def __init__(self):
        self.status = "nothing"
        self.headers = []
        self.framing = ""
        self.left = None  # bytes of a counted body that have not come
        self.connection = ""
        self.body = b""
        self.end = "open"

    def facts(self):
        """What the client saw, by name. Chunk boundaries are not part of it, nor is the date.

        Nor is when to come back after a 502, which is always the proxy's own here: gripd says it
        (`Retry-After`), to each client another time.
        """
        return {
            "status": self.status,
            "headers": self.headers,
            "framing": self.framing,
            "connection": self.connection,
            "body": shorten(self.body),
            "end": self.end,
        }


class Client:
    """A connection."""

    messages = None  # what a WebSocket heard

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._ahead = b""
        self.exchanges = []

    def send(self, raw):
        """Sends bytes."""
        self._socket.sendall(raw.encode() if isinstance(raw, str) else raw)

    def request(self, target, *headers, method="GET", body="", version="1.1"):
        """Sends a request; a body is counted."""
        lines = [f"{method} {target} HTTP/{version}", "Host: h.test", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]) + body)

    def head(self, bodiless=False):
        """Reads the head of the next answer."""
        seen = Exchange()
        self.exchanges.append(seen)
        end = self._until(lambda: self._ahead.find(b"\r\n\r\n") + 1)
        if not end:
            seen.end = "no answer"
            return seen
        head, self._ahead = self._ahead.split(b"\r\n\r\n", 1)
        status, *lines = head.decode("latin-1").split("\r\n")
        seen.status = status
        headers = [tuple(line.split(": ", 1)) for line in lines]
        framing = {k.lower(): v for k, v in headers if k.lower() in FRAMING}
        left_out = [*FRAMING, "date"]
        if status.split(" ")[1] == "502":
            left_out.append("retry-after")
        seen.headers = [[k, v] for k, v in headers if k.lower() not in left_out]
        if "transfer-encoding" in framing:
            seen.framing = framing["transfer-encoding"].lower()
        elif "content-length" in framing:
            seen.framing, seen.left = "counted", int(framing["content-length"])
        else:
            seen.framing = "to the end"
        # Pushpin names Transfer-Encoding there, which is allowed and means nothing.
        connection = framing.get("connection", "").lower()
        seen.connection = connection.replace("transfer-encoding", "").strip(", ")
        if bodiless or status.split(" ")[1] in ("204", "304"):
            seen.framing, seen.end = "none", "complete"
        return seen

    def answer(self, **options):
        """Reads the next answer to its end."""
        seen = self.head(**options)
        self.rest()
        return seen

    def expect(self, text):
        """Reads the current body until it contains this text, or nothing more comes."""
        seen = self.exchanges[-1]
        deadline = time.monotonic() + DEADLINE
        while text.encode() not in seen.body and seen.end == "open" and self._more(deadline):
            pass

    def rest(self):
        """Reads the current body to its end, or until nothing more comes."""
        seen = self.exchanges[-1]
        deadline = time.monotonic() + DEADLINE
        while seen.end == "open" and self._more(deadline):
            pass

    def take(self, count):
        """Reads so many bytes; None when they do not come."""
        if not self._until(lambda: len(self._ahead) >= count):
            return None
        piece, self._ahead = self._ahead[:count], self._ahead[count:]
        return piece

    def closed(self):
        """Notes whether the proxy closes the connection."""
        self._until(lambda: False)
        self.exchanges[-1].end += ", then closed" if self._ended else ", then open"

    def close(self):
        """Leaves."""
        self._socket.close()

    _ended = False

    def _more(self, deadline):
        """Decodes what is there of the current body, or waits for more; False when none came."""
        seen = self.exchanges[-1]
        if seen.framing == "chunked":
            return self._chunk(seen, deadline)
        if seen.left == 0:
            seen.end = "complete"
            return True
        if self._ahead:
            piece = self._ahead[: seen.left]
            self._ahead = self._ahead[len(piece) :]
            seen.body += piece
            seen.left = None if seen.left is None else seen.left - len(piece)
            return True
        if self._read(deadline):
            return True
        if self._ended:
            seen.end = "closed"
        return False

    def _chunk(self, seen, deadline):
        if b"\r\n" in self._ahead:
            line, rest = self._ahead.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            if len(rest) >= size + 2:
                seen.body += rest[:size]
                self._ahead = rest[size + 2 :]
                if size == 0:
                    seen.end = "complete"
                return True
        if self._read(deadline):
            return True
        if self._ended:
            seen.end = "cut"
        return False

    def _until(self, found):
        deadline = time.monotonic() + DEADLINE
        while not (result := found()) and self._read(deadline):
            pass
        return result

    def _read(self, deadline):
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self._ended = not data
        self._ahead += data
        return bool(data)


FRAMING = ("connection", "content-length", "transfer-encoding")


def shorten(body):
    """Text for people; long runs of one letter, which is all that long bodies are, as a count."""
    text = body.decode("latin-1")
    if len(text) > 1000 and len(set(text.strip("\n"))) == 1:
        return f"{len(text)} times {text[0]!r}"
    return text
