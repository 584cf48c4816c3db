"""The container image without a container engine: Docker's files are parsed and compared with each
other and with the program, and the image's entry point runs as in a container."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from docker.utils.build import PatternMatcher

from container import CLIENTS, CONTROL, exec_form
from proxy import ROOT, SHIPPED_CONF, gripd_program


# --- The files -----------------------------------------------------------------------------------


def test_the_image_is_built_with_the_rust_that_the_crate_names(dockerfile):
    """The tag of the build stage is `rust-version`; both stages are of one Debian."""
    wanted = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["rust-version"]
    version, debian = re.match(r"rust:([\d.]+)-slim-(\w+)", dockerfile["build FROM"]).groups()
    assert version == wanted
    # A program linked against a newer C library than the one it meets does not start.
    assert dockerfile["FROM"] == f"debian:{debian}-slim"
    assert "cargo build --release --locked" in dockerfile["build RUN"]


def test_the_image_runs_gripd_as_nobody_in_particular(dockerfile):
    """No shell, a user that is not root, both ports, and a health check that asks the same way."""
    program = dockerfile["COPY"].split()[-1]
    assert exec_form(dockerfile["ENTRYPOINT"]) == [program, "image"]
    assert exec_form(dockerfile["CMD"]) == ["gripd"]
    assert exec_form(dockerfile["HEALTHCHECK"]) == [program, "image", "health", "--ready"]
    assert dockerfile["USER"] == "1001:1001"
    assert dockerfile["EXPOSE"].split() == [CLIENTS, CONTROL]
    assert dockerfile["STOPSIGNAL"] == "SIGTERM"
    for command in (["image", "pushpin", "--help"], ["image", "health", "--help"]):
        subprocess.run([gripd_program(), *command], capture_output=True, check=True)


def test_the_image_has_the_programs_of_pushpins(dockerfile, tmp_path):
    """Links beside the program, each of which is that program of Pushpin's by its name."""
    program = Path(dockerfile["COPY"].split()[-1])
    links = [words.split() for words in dockerfile["RUN"].split("&&")]
    assert [words[:3] for words in links] == [["ln", "-s", program.name]] * 2
    assert {Path(words[3]).parent for words in links} == {program.parent}
    names = [Path(words[3]).name for words in links]
    assert names == ["pushpin", "pushpin-publish"]
    for name in names:
        (tmp_path / name).symlink_to(gripd_program())
        version = subprocess.run([tmp_path / name, "--version"], capture_output=True, check=True)
        assert version.stdout.startswith(f"{name} ".encode())


def test_the_build_gets_what_it_reads_and_no_more():
    """`.dockerignore` keeps nothing out that a source or cargo reads, but all that is large."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    ignored = PatternMatcher([line for line in lines if not line.startswith("#")]).matches
    sources = [path for path in (ROOT / "src").rglob("*") if path.is_file()]
    included = [
        Path(os.path.normpath(source.parent / name))
        for source in sources
        if source.suffix == ".rs"
        for name in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', source.read_text())
    ]
    assert ROOT / "gripd.example.toml" in included, "the search finds what is there"
    for path in [*sources, *included, ROOT / "Cargo.toml", ROOT / "Cargo.lock"]:
        assert not ignored(str(path.relative_to(ROOT))), path
    for path in ["target/release/gripd", "fuzz/target/x", ".git/HEAD", "tests/run", "examples/x"]:
        assert ignored(path), path


def test_the_compose_file_agrees_with_the_image(services, dockerfile):
    """Names, ports and the variable `target` lead where they should."""
    gripd = services["gripd"]
    assert gripd["build"] == "."
    assert [port.rsplit(":", 1)[1] for port in gripd["ports"]] == dockerfile["EXPOSE"].split()
    # Whoever reaches the control port can publish: it is not for the network of the host.
    assert f"127.0.0.1:{CONTROL}:{CONTROL}" in gripd["ports"]
    assert gripd["read_only"] is True
    assert gripd["cap_drop"] == ["ALL"]
    assert gripd["security_opt"] == ["no-new-privileges:true"]
    (target,) = gripd["environment"]
    name, address = target.split("=")
    assert (name, address.split(":")[0] in services) == ("target", True)
    for service in ("app", "ticker"):
        assert services[service]["environment"] == {"GRIP_URL": f"http://gripd:{CONTROL}"}
        assert services[service]["build"] == services["app"]["build"]
    waits = {name: service.get("depends_on", []) for name, service in services.items()}
    assert all(other in services for others in waits.values() for other in others)


def test_the_example_has_what_the_compose_file_starts(services):
    """The app's folder builds an image, serves the port of `target`, knows the command."""
    app = ROOT / services["app"]["build"]
    port = services["gripd"]["environment"][0].rsplit(":", 1)[1]
    assert re.search(rf"\b{port}\b", (app / "Dockerfile").read_text())
    python, script, command = services["ticker"]["command"]
    assert (python, (app / script).is_file()) == ("python", True)
    assert list(app.rglob(f"management/commands/{command}.py"))


# --- The entry point, run ------------------------------------------------------------------------

# Where the backend is to the routes and to `target`: in the container's own network.
BACKEND = "127.0.0.1:8000"
ROUTES = f"* {BACKEND},over_http\n"


MOUNTED = {
    "routes alone": ({"routes": ROUTES}, [], "pushpin/routes"),
    "pushpin's files": (
        {"pushpin.conf": SHIPPED_CONF, "routes": ROUTES},
        [],
        "pushpin/pushpin.conf, /etc/pushpin/routes",
    ),
    "target": (None, [f"target={BACKEND}"], "none: built-in defaults; routes from target"),
    "target and files": (
        {"pushpin.conf": SHIPPED_CONF, "routes": "* 127.0.0.1:1\n"},
        [f"target={BACKEND}"],
        "pushpin/pushpin.conf; routes from target",
    ),
}


@pytest.mark.parametrize(("files", "environment", "read"), MOUNTED.values(), ids=MOUNTED)
def test_a_container_of_pushpins_runs_gripd(  # noqa: PLR0913
    container, dockerfile, tmp_path, files, environment, read
):
    """Only the image's name is another: clients, publishers and the health check are served."""
    gripd = container(files, environment)
    gripd.program.look_again()
    assert gripd.program.wait_for(r"files read: (?:/etc/)?(.*)")[1].startswith(read)

    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page").write_text("from the app\n")
    serve = ["python3", "-u", "-m", "http.server", "8000", "--bind", "127.0.0.1"]
    gripd.inside(*serve, "--directory", tmp_path / "site").wait_for("Serving HTTP")
    assert gripd.curl(f"http://127.0.0.1:{CLIENTS}/page") == ["from the app", "200"]

    item = {"items": [{"channel": "test", "http-stream": {"content": "hello"}}]}
    publish = ["-d", json.dumps(item), f"http://127.0.0.1:{CONTROL}/publish/"]
    assert gripd.curl("-H", f"Host: gripd:{CONTROL}", *publish) == ["Published", "200"]
    assert gripd.curl("-H", "Host: evil.example", *publish)[-1] == "403"

    check = exec_form(dockerfile["HEALTHCHECK"])[1:]
    health = gripd.inside(*environment, "/etc/program", *check, mounts=True)
    assert health.wait_end() == 0, health.output()
    assert health.lines == [f"ready: http://127.0.0.1:{CONTROL}/readyz"]

    assert gripd.stop() == 0


def test_the_health_check_follows_the_containers_command(container, dockerfile):
    """It asks the port that flags of the first process moved."""
    gripd = container({"routes": ROUTES}, command=["pushpin", "--merge-output", "--id", "1"])
    check = exec_form(dockerfile["HEALTHCHECK"])[1:]
    health = gripd.inside("/etc/program", *check, mounts=True)
    assert health.wait_end() == 0, health.output()
    assert health.lines == ["ready: http://127.0.0.1:5571/readyz"]
    gripd.stop()


def test_a_container_without_anything_shows_something(container):
    """The built-in backend answers."""
    gripd = container()
    assert gripd.curl(f"http://127.0.0.1:{CLIENTS}/")[-1] == "200"
    gripd.stop()
