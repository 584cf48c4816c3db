"""`docs/migrating.md` says of every setting of Pushpin what becomes of it. Here gripd is asked."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from markdown import blocks
from proxy import ROOT, SHIPPED_CONF, gripd_program

DOCUMENT = ROOT / "docs" / "migrating.md"
ROW = re.compile(r"^\| ((?:`[^`]+`(?:, )?)+) \| (same|better|later|never) \|", re.MULTILINE)

# Values other than Pushpin's own, for keys that do not take any text.
CHANGED = {
    "http_port": "8001",
    "https_ports": "8443",
    "local_ports": "/run/p.sock?mode=660",
    "port_offset": "10",
    "log_level": "3,proxy:4",
    "client_buffer_size": "100000",
    "client_maxconn": "100",
    "allow_compression": "true",
    "routesfile": "routes",
    "set_x_forwarded_protocol": "true",
    "x_forwarded_for": "truncate:0,append",
    "x_forwarded_for_trusted": "append",
    "push_in_http_addr": "127.0.0.2",
    "push_in_http_port": "5571",
    "push_in_http_max_headers_size": "20000",
    "push_in_http_max_body_size": "2000000",
    "message_wait": "1000",
    "id_cache_ttl": "10",
    "connection_subscription_max": "5",
    "subscription_linger": "5",
    "sig_key": "another",
    "auto_cross_origin": "true",
    "include": "internal.conf",
    "prometheus_port": "9090",
}

# Keys whose value is only a part of others, or whose effect a route option is asked for.
SILENT = {"rundir", "libdir", "ipc_prefix"}

# Options that do not take any text.
OPTIONS = {
    "proto": "http",
    "ssl": "yes",
    "header": "A:b",
    "jsonp_mode": "basic",
    "balance": "round-robin",
    "check": "/up",
    "max_connections": "5",
    "overflow": "latest",
    "path_beg": "/a",
    "path_rem": "1",
    "ipc_file_mode": "777",
    "log_level": "1",
    **dict.fromkeys(["connect_timeout", "response_timeout", "idle_timeout"], "5"),
}


def tables():
    """The tables: what the first column is called, and the rows' names with their words."""
    found = {}
    for part in re.split(r"(?m)^\| (?=\S+ \| in gripd \|)", DOCUMENT.read_text())[1:]:
        title, rows = part.split(" | ", 1)
        rows = rows.split("\n\n")[0]
        cells = {name: word for names, word in ROW.findall(rows) for name in names.split(", ")}
        assert rows.count("\n| `") == len(ROW.findall(rows)), f"{title}: a row without its word"
        found[title.strip("`[]")] = {name.strip("`"): word for name, word in cells.items()}
    return found


def source(path):
    """A file of gripd's."""
    return (ROOT / "src" / path).read_text()


def check(*arguments):
    """What `gripd check` says."""
    argv = [gripd_program(), "check", *map(str, arguments)]
    env = {name: text for name, text in os.environ.items() if not name.startswith("GRIPD_")}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env).stdout


def test_each_key_that_gripd_knows_has_its_row():
    """And no other."""
    pattern = r'\(\s*"(global|runner|proxy|handler)",\s*"(\w+)",'
    known = set(re.findall(pattern, source("config/pushpin_conf/meaning.rs")))
    sections = ("global", "runner", "proxy", "handler")
    assert len(known) > 70
    assert known == {(name, key) for name in sections for key in tables()[name]}
    shipped = set(re.findall(r"(?m)^#?(\w+)=", SHIPPED_CONF))
    assert shipped <= {key for _, key in known}


def test_each_option_that_gripd_knows_has_its_row():
    """And no other."""
    pattern = r"OPTIONS: &\[&str\] = &\[([^\]]+)\]"
    for name in ("condition", "target"):
        (listed,) = re.findall(pattern, source(f"routes/grammar/{name}.rs"))
        known = set(re.findall(r'"(\w+)"', listed))
        if name == "condition":
            known.add("ssl")  # which is a target's as well
        told = {option for option in tables()[name] if re.fullmatch(r"\w+", option)} - {"test"}
        assert known == told


@pytest.mark.parametrize("section", ["global", "runner", "proxy", "handler"])
def test_keys_are_what_the_document_says(tmp_path, section):
    """A key that has an effect gives no warning; one that has none gives one, when changed."""
    for key, word in tables()[section].items():
        if key in SILENT:
            continue
        value = CHANGED.get(key, "tcp://127.0.0.1:1")
        lines = [f"[{section}]", f"{key}={value}"]
        if key.startswith("push_in_http_"):
            both = {"push_in_http_addr": "127.0.0.1", "push_in_http_port": "5561", key: value}
            lines[1:] = [f"{name}={text}" for name, text in both.items()]
        file = tmp_path / "pushpin.conf"
        file.write_text("\n".join(lines) + "\n")
        said = check("--config", file, "--route", "* test")
        warned = re.search(rf"\b{key}\b.*\(warning\)$", said, re.MULTILINE) is not None
        assert "(error)" not in said and "OK" in said, said
        if word != "better":
            assert warned == (word in ("later", "never")), f"{key}: {word}\n{said}"


def test_options_are_what_the_document_says():
    """An option that has no effect yet is told, and no other."""
    for title, line in [("condition", "*,{}{} test"), ("target", "* localhost:80,{}{}")]:
        for option, word in tables()[title].items():
            if not re.fullmatch(r"\w+", option) or option == "test":
                continue
            text = "" if (title, option) == ("target", "ssl") else OPTIONS.get(option, "x")
            said = check("--route", line.format(option, f"={text}" if text else ""))
            assert "unknown option" not in said, said
            assert ("is not in gripd yet" in said) == (word == "later"), f"{option}\n{said}"


def test_each_change_is_one_line_for_another():
    """And the one of Debian's unit fits the unit that is shipped, and gripd's command line."""
    changes = [block.text.splitlines() for block in blocks(DOCUMENT) if block.kind == "diff"]
    assert len(changes) == 4
    for before, after in changes:
        assert (before[0], after[0]) == ("-", "+")
    before, after = changes[-1]
    unit = Path("/lib/systemd/system/pushpin.service")
    if unit.exists():
        assert before[1:] in unit.read_text().splitlines()
    command = after.removeprefix("+ExecStart=").split()
    assert command[1:] == ["--config", "/etc/pushpin"]
