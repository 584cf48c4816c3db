"""Starts the proxy under test in each of the ways users start it.

gripd is looked for in `GRIPD_BIN`, else in `target/debug/gripd` (what `cargo build` gives).
With `GRIPD_E2E_PUSHPIN=1` Debian's `pushpin` takes its place: the tests describe what users of
Pushpin have today, so it must pass them too, except where a test says otherwise.
"""

import os
import re
import time
from pathlib import Path

from program import free_port

ROOT = Path(__file__).resolve().parents[2]
PUSHPIN = bool(os.environ.get("GRIPD_E2E_PUSHPIN"))

# The ways that need no settings of the user's own, and the one with Pushpin's shipped settings.
WAYS = ["route", "folder", "conf"]

# The keys and values of the pushpin.conf that Debian ships, without its comments.
SHIPPED_CONF = """\
[global]
include={libdir}/internal.conf
rundir=/var/run/pushpin
ipc_prefix=pushpin-
port_offset=0
stats_connection_ttl=120

[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port=7999
#https_ports=443
#local_ports={rundir}/{ipc_prefix}server
logdir=/var/log/pushpin
log_level=2
client_buffer_size=8192
client_maxconn=50000
condure_bin=condure
mongrel2_bin=mongrel2
m2sh_bin=m2sh
zurl_bin=zurl

[proxy]
routesfile=routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
x_forwarded_for=
x_forwarded_for_trusted=
orig_headers_need_mark=
accept_pushpin_route=false
log_from=false
log_user_agent=false
sig_iss=pushpin
sig_key=changeme
upstream_key=
sockjs_url=http://cdn.jsdelivr.net/sockjs/0.3.4/sockjs.min.js
updates_check=off
organization_name=

[handler]
#ipc_file_mode=777
push_in_spec=tcp://127.0.0.1:5560
push_in_sub_specs=tcp://127.0.0.1:5562
push_in_sub_connect=false
push_in_http_addr=127.0.0.1
push_in_http_port=5561
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://{rundir}/{ipc_prefix}stats
command_spec=tcp://127.0.0.1:5563
message_rate=2500
message_hwm=25000
#message_block_size=
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
stats_subscription_ttl=60
stats_report_interval=10
stats_format=tnetstring
"""


class Proxy:
    """A running proxy: its program and the two ports it serves on."""

    def __init__(self, program, client_port, control_port):
        self.program = program
        self.client_port = client_port
        self.control_port = control_port

    def url(self, path="/", host="127.0.0.1"):
        """Where clients go."""
        return f"http://{host}:{self.client_port}{path}"

    @property
    def control(self):
        """Where publishers go; also the usual value of GRIP_URL."""
        return f"http://localhost:{self.control_port}"


def start_proxy(programs, folder, backend_port, way="route", within=(), options=""):
    """Starts the proxy before a backend on `localhost:backend_port`.

    `within` is a command that runs what it is given, such as `with_hosts` makes; `options` are
    those of the target, each behind a comma.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start = _start_pushpin if PUSHPIN else _start_gripd
    return start(programs, folder, f"* localhost:{backend_port}{options}", way, within)


def start_gripd(programs, folder, backend_port, settings):
    """Starts gripd, whatever the proxy under test, with these settings in its environment."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = [gripd_program(), "--route", f"* localhost:{backend_port}", "--port", "127.0.0.1:0"]
    env = {"GRIPD_CONTROL_HTTP": "127.0.0.1:0", **settings}
    return _listening(programs.start(argv, cwd=folder, env=env))


def start_with_shipped_settings(kind, programs, folder, routes):
    """Starts `gripd` or `pushpin` with Pushpin's shipped settings and these route lines."""
    folder.mkdir(parents=True, exist_ok=True)
    start = {"gripd": _start_gripd, "pushpin": _start_pushpin}[kind]
    return start(programs, folder, routes, "conf", ())


def with_hosts(file):
    """A command that runs another with `file` in the place of /etc/hosts, for it alone."""
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(file)]


def _start_gripd(programs, folder, route, way, within):
    argv = [*within, gripd_program(), "--port", "127.0.0.1:0", "--control", "127.0.0.1:0"]
    if way == "route":
        argv += ["--route", route]
    else:
        (folder / "routes").write_text(route + "\n")
    if way == "conf":
        (folder / "pushpin.conf").write_text(SHIPPED_CONF)
        argv += ["--merge-output", "--config", folder / "pushpin.conf"]
    return _listening(programs.start(argv, cwd=folder))


def start_unconfigured(programs, client_port=0):
    """Starts gripd where it finds no file, whatever this machine has in /etc."""
    argv = [gripd_program(), "--config", "/dev/null", "--port", f"127.0.0.1:{client_port}"]
    return _listening(programs.start([*argv, "--control", "127.0.0.1:0"]))


def _listening(program):
    clients = program.wait_for(r"clients: http://\S+:(\d+)")
    program.look_again()
    control = program.wait_for(r"control: https?://[^\s,]+:(\d+)")
    return Proxy(program, int(clients[1]), int(control[1]))


def gripd_program():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("GRIPD_BIN", target / "debug" / "gripd")).resolve()
    assert path.exists(), f"{path} is not there: run `cargo build`, or set GRIPD_BIN"
    return path


def _start_pushpin(programs, folder, route, way, within):
    """Always from a copy of its settings: it can neither choose ports nor do without a file."""
    client, control = free_port(), free_port()
    values = {
        "include": folder / "internal.conf",
        "rundir": folder,
        "logdir": folder,
        "http_port": client,
        "push_in_http_port": control,
        "push_in_spec": f"tcp://127.0.0.1:{free_port()}",
        "push_in_sub_specs": f"tcp://127.0.0.1:{free_port()}",
        "command_spec": f"tcp://127.0.0.1:{free_port()}",
    }
    conf = SHIPPED_CONF
    for key, value in values.items():
        conf = re.sub(rf"(?m)^{key}=.*$", f"{key}={value}", conf)
    (folder / "pushpin.conf").write_text(conf)
    (folder / "routes").write_text(route + "\n")
    _start_zurl(programs, folder, within)
    argv = ["pushpin", "--merge-output", "--config", folder / "pushpin.conf"]
    program = programs.start(argv + (["--route", route] if way == "route" else []), cwd=folder)
    for service in ("condure] \\[condure", "handler", "proxy"):
        program.wait_for(rf"\[{service}\] started")
        program.look_again()
    time.sleep(0.5)  # its services then find each other, which nothing tells
    return Proxy(program, client, control)


def _start_zurl(programs, folder, within):
    """Debian's Pushpin asks backends through a service of its own; here its sockets move."""
    shared = "/var/run/zurl/"
    for source in ("/etc/zurl.conf", "/usr/lib/pushpin/internal.conf"):
        text = Path(source).read_text().replace(shared, f"{folder}/")
        (folder / Path(source).name).write_text(text)
    zurl = programs.start([*within, "zurl", f"--config={folder}/zurl.conf"])
    zurl.wait_for("started")
