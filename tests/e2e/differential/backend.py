"""The backend of the scenarios: answers by path, request by request, and notes what it was asked."""

import socket
import threading


class Request:
    """What the backend was asked."""

    def __init__(self, line, headers, body):
        self.method, self.target, _ = line.split(" ", 2)
        self.path = self.target.split("?")[0]
        self.headers = headers
        self.body = body
        self.connection = None  # it came on this one; for answers that are more than bytes

    def all(self, name):
        """The values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Backend:
    """Serves on a free port of loopback. Each path has a list of answers; the last one repeats.

    An answer is bytes, or `None`: the connection is closed instead; or a function of the request
    that returns either, may wait, and may talk on the request's connection.
    """

    def __init__(self):
        self._pages = {}
        self._asked = []
        self._news = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def add(self, path, answer):
        """Adds the next answer of a path."""
        self._pages.setdefault(path, []).append(answer)

    def last(self, path):
        """The last answer added to a path."""
        return self._pages[path][-1]

    def asked(self, prefix):
        """The requests so far whose path begins so."""
        with self._news:
            return [request for request in self._asked if request.path.startswith(prefix)]

    def wait_asked(self, path, count, deadline):
        """Waits until a path was asked so often; whether it was."""

        def enough():
            return sum(request.path == path for request in self._asked) >= count

        with self._news:
            return self._news.wait_for(enough, deadline)

    def stop(self):
        """Listens no longer."""
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as reader:
            try:
                while (request := read_request(reader)) and self._answer(connection, request):
                    pass
            except (OSError, ValueError):
                pass  # the proxy went away

    def _answer(self, connection, request):
        with self._news:
            nth = sum(request.path == before.path for before in self._asked)
            self._asked.append(request)
            self._news.notify_all()
        pages = self._pages.get(request.path, [NOT_HERE])
        answer = pages[min(nth, len(pages) - 1)]
        request.connection = connection
        raw = answer(request) if callable(answer) else answer
        if raw is None:
            return False
        if request.method == "HEAD":
            raw = raw[: raw.index(b"\r\n\r\n") + 4]
        connection.sendall(raw)
        return True


def read_request(reader):
    """One request with a counted body; None at the end of the connection."""
    line = reader.readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    headers = []
    while header := reader.readline().decode("latin-1").rstrip("\r\n"):
        name, value = header.split(":", 1)
        headers.append((name, value.strip()))
    length = next((int(v) for k, v in headers if k.lower() == "content-length"), 0)
    return Request(line, headers, reader.read(length))


def answer(status, headers, body):
    """The bytes of an answer with these header lines; its body is counted."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", *headers]
    if status[:3] not in ("204", "304"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


NOT_HERE = answer("404 Not Found", [], "not here\n")
