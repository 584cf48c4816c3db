"""gripd called as `pushpin-publish`, beside Debian's program of that name: the same calls, and the
same output, exit codes, errors and requests. What is meant to differ is written down with its
reason; anything else that differs fails, and so does what differs no longer."""

import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from proxy import gripd_program

PATIENCE = 20  # s, for one call; Debian's program waits for ever where nobody listens to ZeroMQ

# What comes in the place of the control port's URL, and of a file that the test makes.
URL = "http://127.0.0.1:PORT"
SPEC = f"--spec={URL}"

CALLS = {
    "content": [SPEC, "ch", "hello"],
    "content without ascii": [SPEC, "ch", "grüße"],
    "empty content": [SPEC, "ch", ""],
    "empty channel": [SPEC, "", "x"],
    "a dash": [SPEC, "ch", "-"],
    "all of an item": [
        SPEC, "--id", "2", "--prev-id", "1", "--sender", "me", "ch", "hi",
        "-M", "a = b ", "c=d", "-H", "X-A: b", "Y:z ", "--code", "404", "--no-seq", "--no-eol",
    ],
    "repeated options": [SPEC, "ch", "x", "-M", "a=1", "-M", "a=2", "-H", "A: 1", "-H", "A: 2"],
    "sender by meta": [SPEC, "--sender", "me", "ch", "x", "-M", "sender=you"],
    "names without letters": [SPEC, "ch", "x", "-M", "=v", "-H", ": v"],
    "empty ids": [SPEC, "--id=", "--prev-id=", "--sender=", "ch", "x"],
    "hint": [SPEC, "--hint", "ch"],
    "hint with content": [SPEC, "--hint", "ch", "hello"],
    "hint with a large code": [SPEC, "--hint", "--code", "1000", "ch"],
    "close": [SPEC, "--close", "ch", "x"],
    "hint and close": [SPEC, "--hint", "--close", "ch"],
    "hint and patch": [SPEC, "--patch", "--hint", "ch", "[]"],
    "patch": [SPEC, "--patch", "ch", '[{"op":"test","path":"/a","value":1.5}]'],
    "file": [SPEC, "ch", "@text"],
    "file of bytes": [SPEC, "ch", "@bytes"],
    "path": [f"{SPEC}/base", "ch", "x"],
    # What is wrong.
    "no arguments": [],
    "no content": [SPEC, "ch"],
    "three words": [SPEC, "a", "b", "c"],
    "unknown option": [SPEC, "--foo", "ch", "x"],
    "option twice": [SPEC, "--id", "a", "--id", "b", "ch", "x"],
    "header before the channel": [SPEC, "-H", "A: b", "ch", "x"],
    "bad header": [SPEC, "ch", "x", "-H", "bad"],
    "bad meta": [SPEC, "ch", "x", "-M", "bad"],
    "code of letters": [SPEC, "--code", "abc", "ch", "x"],
    "code too large": [SPEC, "--code", "1000", "ch", "x"],
    "code far too large": [SPEC, "--code", "70000", "ch", "x"],
    "negative code": [SPEC, "--code", "-1", "ch", "x"],
    "patch of an object": [SPEC, "--patch", "ch", '{"op":"test"}'],
    "patch of letters": [SPEC, "--patch", "ch", "zz"],
    "no such file": [SPEC, "ch", "@nothing"],
    "password without tls": [SPEC, "-u", "a:b", "ch", "x"],
    "password twice": [SPEC, "-u", "a:b", "-u", "c:d", "ch", "x"],
    "nobody listens": ["--spec=http://127.0.0.1:1", "ch", "x"],
    "no such host": ["--spec=http://no-such-host.invalid", "ch", "x"],
    "no host": ["--spec=http://", "ch", "x"],
    "no url": ["--spec=junk", "ch", "x"],
    # What is better in gripd.
    "slash at the end": [f"{SPEC}/base/", "ch", "x"],
    "url in capitals": ["--spec=HTTP://127.0.0.1:PORT", "ch", "x"],
    "key": [f"{SPEC}/?iss=me&key=secret&x=y", "ch", "x"],
    "password in the url": ["--spec=http://me:secret@127.0.0.1:PORT", "ch", "x"],
    "patch of a file": [SPEC, "--patch", "ch", "@patch"],
    "version": ["--version"],
    "help": ["--help"],
}  # fmt: skip

# What the control port answers; without an entry here: 200 and `Published`.
ANSWERS = {
    "400": (400, b"Invalid format: no formats specified\n"),
    "201": (201, b"Made\n"),
    "301": (301, b""),
    "401": (401, b"Unauthorized"),
    "503": (503, b""),
    "another 200": (200, b"<html>"),
}

USAGE = "wrong usage is told in the words of a newer version of the same parser"
OWN = "versions and help are gripd's own"

# The facts of a call that differ, and why.
INTENDED = {
    "no arguments": ({"err"}, USAGE),
    "three words": ({"err"}, USAGE),
    "unknown option": ({"err"}, USAGE),
    "option twice": ({"err"}, USAGE),
    "header before the channel": ({"err"}, USAGE),
    "negative code": ({"err"}, USAGE),
    "password twice": ({"err"}, USAGE),
    "no host": ({"err"}, "`Invalid argument` does not say which"),
    "no url": ({"err"}, "`Invalid argument` does not say which"),
    "zeromq": ({"code", "err"}, "gripd names the HTTP way, where Pushpin's program waits for ever"),
    "slash at the end": ({"request"}, "//publish/ is another path"),
    "url in capitals": ({"code", "out", "err", "request"}, "a scheme has no case"),
    "key": ({"request"}, "GRIP URLs are read as the client libraries read them"),
    "password in the url": ({"code", "out", "err", "request"}, "as the client libraries do it"),
    "patch of a file": ({"code", "out", "err", "request"}, "files serve for patches, too"),
    "version": ({"out"}, OWN),
    "help": ({"out"}, OWN),
}


class ControlPort(ThreadingHTTPServer):
    """Notes what is posted, and answers it."""

    def __init__(self, answer=(200, b"Published\n")):
        self.answer = answer
        self.requests = []
        super().__init__(("127.0.0.1", 0), Notes)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class Notes(BaseHTTPRequestHandler):
    """One request."""

    def do_POST(self):  # noqa: N802, the name http.server calls
        """Notes it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = {name: self.headers[name] for name in ("Content-Type", "Host", "Authorization")}
        self.server.requests.append((self.path, told, json.loads(body)))
        status, answer = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def folder(tmp_path):
    """Files to publish."""
    (tmp_path / "text").write_text("a file\n")
    (tmp_path / "bytes").write_bytes(b"abc\n\xff\xfe")
    (tmp_path / "patch").write_text("[]")
    return tmp_path


@pytest.fixture
def publishers(tmp_path):
    """Both programs: Debian's, and the link to gripd as the image has it."""
    link = tmp_path / "pushpin-publish"
    link.symlink_to(gripd_program())
    theirs = shutil.which("pushpin-publish")
    assert theirs, "no pushpin-publish: install Debian's package `pushpin`"
    return {"theirs": theirs, "ours": str(link)}


def facts(program, call, folder, answer, environment=None):
    """What a call shows, and what comes at the control port, without its port's number."""
    server = ControlPort(answer)
    port = str(server.server_port)
    argv = [program, *(word.replace("PORT", port) for word in call)]
    environment = {
        name: value.replace("PORT", port) for name, value in (environment or {}).items()
    }
    inherited = {name: value for name, value in os.environ.items() if name != "GRIP_URL"}
    try:
        done = subprocess.run(
            argv, cwd=folder, env={**inherited, **environment}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        shown = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
    except subprocess.TimeoutExpired:
        shown = {"code": "it hangs", "out": "", "err": ""}
    server.shutdown()
    server.server_close()
    return json.loads(json.dumps({**shown, "request": server.requests}).replace(port, "PORT"))


def compare(name, publishers, folder, call, answer, environment=None):
    """Both sides of a call; they differ where that is meant, and nowhere else."""
    theirs, ours = (
        facts(publishers[side], call, folder, answer, environment) for side in ("theirs", "ours")
    )
    different = {fact for fact, value in theirs.items() if ours[fact] != value}
    assert different == INTENDED.get(name, (set(), ""))[0], (theirs, ours)
    return theirs, ours


@pytest.mark.parametrize("name", CALLS)
def test_a_call_does_what_it_did(name, publishers, folder):
    """Output, exit code, error, and the request that the control port gets."""
    compare(name, publishers, folder, CALLS[name], (200, b"Published\n"))


def test_zeromq_ends_with_a_sentence(publishers, folder, monkeypatch):
    """Debian's waits for ever for somebody to connect to; gripd names the HTTP way."""
    monkeypatch.setattr("test_publish.PATIENCE", 3)
    call = ["--spec=tcp://127.0.0.1:1", "ch", "x"]
    _, ours = compare("zeromq", publishers, folder, call, (200, b"Published\n"))
    assert ours["code"] == 1
    assert ours["err"].startswith("Error: ")
    assert "http://127.0.0.1:5561" in ours["err"]


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_means_what_it_meant(name, publishers, folder):
    """Only 200 is success, and what else is answered is the error."""
    compare(name, publishers, folder, [SPEC, "ch", "x"], ANSWERS[name])


def test_the_environment_names_the_control_port(publishers, folder):
    """GRIP_URL, unless there is --spec."""
    told = (200, b"Published\n")
    environment = {"GRIP_URL": f"{URL}/a"}
    for call in (["ch", "x"], [f"{SPEC}/b", "ch", "x"]):
        theirs, _ = compare("", publishers, folder, call, told, environment)
        assert theirs["request"], call


def test_wrong_usage_is_told_on_standard_error_alone(publishers, folder):
    """In other words than Debian's, but at the same place."""
    for name, (_, why) in INTENDED.items():
        if why == USAGE:
            theirs, ours = compare(name, publishers, folder, CALLS[name], (200, b""))
            assert (ours["code"], ours["out"]) == (1, ""), name
            assert ours["err"].startswith("error: "), name
            assert theirs["err"].startswith("error: "), name
