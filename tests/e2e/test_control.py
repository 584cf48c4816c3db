"""Publishers that users have, with credentials as a GRIP_URL names them, and other stacks of TLS.

`gripcontrol` (PyPI), `@fanoutio/grip` (npm) and curl, each unchanged.
"""

import shutil
import subprocess
from base64 import b64encode
from urllib.parse import quote

import pytest
from gripcontrol import GripPubControl, parse_grip_uri

from proxy import ROOT, start_gripd
from test_clients import Holds, serve

KEYS = ROOT / "src" / "grip" / "signature" / "keys"
JWT = {"GRIPD_CONTROL_JWT_ISS": "app", "GRIPD_CONTROL_JWT_KEY": "a secret of our own"}
BYTES = {"GRIPD_CONTROL_JWT_ISS": "app", "GRIPD_CONTROL_JWT_KEY": "base64:AAEC/+8="}
PEM = {
    "GRIPD_CONTROL_JWT_ISS": "app",
    "GRIPD_CONTROL_JWT_KEY": "file:rsa-public.pem",
    "GRIPD_GRIP_KEY_DIR": str(KEYS),
}
TOKEN = {"GRIPD_CONTROL_TOKEN": "s3cret-t0ken"}
PASSWORD = {"GRIPD_CONTROL_USER": "ann", "GRIPD_CONTROL_PASSWORD": "s3cret"}
PRIVATE = "base64:" + b64encode((KEYS / "rsa-pkcs8.pem").read_bytes()).decode()

# What gripd is told, then the URL's query or user with the right key and with a wrong one, and
# what is said of the wrong one. `&verify-key` is what the libraries expect of gripd's Grip-Sig.
CASES = {
    "JWT": (JWT, "?iss=app&key=a%20secret%20of%20our%20own", "?iss=app&key=another", "signature"),
    "JWT, another issuer": (JWT, "?iss=app&key=a%20secret%20of%20our%20own&verify-key=changeme",
                            "?iss=other&key=a%20secret%20of%20our%20own", "another iss"),
    "JWT, base64": (BYTES, "?iss=app&key=base64:AAEC/%2B8=", "?iss=app&key=base64:AAEC", "signature"),
    "token": (TOKEN, "?key=s3cret-t0ken", "?key=changeme", "the token is wrong"),
    "nothing": (TOKEN, "?key=s3cret-t0ken", "", "there is no Authorization header"),
    "password": (PASSWORD, "ann:s3cret@", "ann:guessed@", "user or password is wrong"),
}  # fmt: skip


@pytest.fixture
def control(programs, tmp_path):
    """Starts gripd with these settings before the backend of test_clients."""
    with serve(Holds) as port:
        yield lambda settings: start_gripd(programs, tmp_path / "gripd", port, settings)


@pytest.fixture(params=["gripcontrol", "@fanoutio/grip"])
def publish(request, clients):
    """Publishes by a GRIP_URL. Returns None, or what the library says of its failure."""
    return python_publish if request.param == "gripcontrol" else node_publisher(clients)


def python_publish(url, text):
    """As the Python library's README does it."""
    grip = GripPubControl(parse_grip_uri(url))
    return refusal(lambda: grip.publish_http_stream("news", text, blocking=True))


def node_publisher(clients):
    """As the Node library's README does it."""

    def publish(url, text):
        node = clients.node("publish.mjs", url, "stream", "news", text)
        return None if node.wait_end() == 0 else node.output()

    return publish


def refusal(publish):
    """What a Python library says when it fails."""
    try:
        publish()
    except ValueError as error:
        return str(error)
    return None


def grip_url(proxy, more):
    """The GRIP_URL of a proxy with a query, or with a user."""
    if more.endswith("@"):
        return proxy.control.replace("://", f"://{more}")
    return proxy.control + more


@pytest.mark.parametrize(("settings", "right", "wrong", "why"), CASES.values(), ids=CASES)
def test_a_grip_url_opens_the_port(  # noqa: PLR0913
    control, clients, publish, settings, right, wrong, why
):
    """The right one publishes; the other is told why not, by the library's own error."""
    proxy = control(settings)
    curl = clients.curl(proxy.url("/stream"))
    curl.wait_for("^hello$")
    said = publish(grip_url(proxy, wrong), "wrong\n")
    assert "401" in said or "Unauthorized" in said, said
    assert why in said, said
    assert publish(grip_url(proxy, right), "right\n") is None
    curl.wait_for("^right$")
    assert curl.count("wrong") == 0


def test_a_private_key_signs_what_the_public_one_opens(control, clients):
    """RS256, which of the libraries Node's knows by a GRIP_URL."""
    proxy, publish = control(PEM), node_publisher(clients)
    key = quote(PRIVATE)
    assert publish(f"{proxy.control}?iss=app&key={key}", "right\n") is None
    assert "another iss" in publish(f"{proxy.control}?iss=other&key={key}", "wrong\n")


def test_pythons_own_form_of_basic_authentication(control):
    """pubcontrol for Python 3 puts b'...' around what it sends."""
    proxy = control(PASSWORD)
    for password, why in (("s3cret", None), ("guessed", "user or password is wrong")):
        grip = GripPubControl({"control_uri": proxy.control})
        grip.clients[0].set_auth_basic("ann", password)
        said = refusal(lambda: grip.publish_http_stream("news", "x", blocking=True))  # noqa: B023
        assert (said is None) == (why is None) and (why or "") in (said or ""), said


@pytest.fixture
def certificate(tmp_path):
    """A certificate for localhost that is its own authority, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not here")
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*make, *names, "-out", cert, "-keyout", key], check=True, capture_output=True)
    return cert, key


def test_other_stacks_of_tls_trust_it(control, clients, certificate, monkeypatch):
    """OpenSSL in Python, Node and curl; who does not trust the authority does not publish."""
    cert, key = map(str, certificate)
    proxy = control({**TOKEN, "GRIPD_CONTROL_TLS_CERT": cert, "GRIPD_CONTROL_TLS_KEY": key})
    secure = proxy.control.replace("http://", "https://")
    url = f"{secure}?key=s3cret-t0ken"
    assert "certificate" in python_publish(url, "x\n").lower()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", cert)
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", cert)
    assert python_publish(url, "x\n") is None
    assert node_publisher(clients)(url, "x\n") is None
    item = '{"items": [{"channel": "news", "http-stream": {"content": "x"}}]}'
    known = ["-H", "Authorization: Bearer s3cret-t0ken", "-d", item]
    for version in ("1.2", "1.3"):
        versions = [f"--tlsv{version}", "--tls-max", version]
        curl = clients.curl(f"{secure}/publish/", "--cacert", cert, *versions, *known)
        assert curl.wait_end() == 0, curl.output()
        assert curl.lines[-1] == "Published"
    plain = python_publish(f"{proxy.control}?key=s3cret-t0ken", "x\n")
    assert "This port speaks TLS" in plain, plain


def test_curl_publishes_by_a_socket_in_the_file_system(control, clients, tmp_path):
    """As docs/control.md writes it."""
    socket = tmp_path / "control.sock"
    control({"GRIPD_CONTROL_HTTP": f"127.0.0.1:0,unix:{socket}?mode=600"})
    item = '{"items": [{"channel": "news", "http-stream": {"content": "x"}}]}'
    curl = clients.curl("http://localhost/publish", "--unix-socket", str(socket), "-d", item)
    assert curl.wait_end() == 0, curl.output()
    assert curl.lines[-1] == "Published"
