"""`docker compose up` without an engine: what the services of docker-compose.yml run, by the same
commands, with the same environment, names and ports, and the dashboard in headless Chromium."""

import sys

import pytest

from container import CLIENTS, exec_form
from proxy import PUSHPIN, ROOT
from test_dashboard import BUILT, EXAMPLE, WATCH, Page

pytestmark = pytest.mark.skipif(PUSHPIN, reason="the compose file is gripd's")

# What the example's Dockerfile puts into its image, where the tests have it.
OF_THE_IMAGE = {
    "NODE_MODULES": str(BUILT / "dashboard" / "node_modules"),
    "PYTHONDONTWRITEBYTECODE": "1",
}


@pytest.fixture
def compose_up(container, programs, dockerfile, services):
    """Starts a service of the file; gripd first, for the others are in its network."""
    running = {}

    def up(name):
        service = services[name]
        if name == "gripd":
            command = exec_form(dockerfile["CMD"])
            options = {"environment": service["environment"], "names": list(services)}
            running[name] = container(command=command, **options)
            return running[name]
        command = service.get("command") or example_command()
        python = [sys.executable] if command[0] == "python" else [sys.executable, "-m", command[0]]
        argv = [*running["gripd"].beside(), *python, *command[1:]]
        env = {**OF_THE_IMAGE, **service["environment"]}
        return programs.start(argv, cwd=EXAMPLE, env=env)

    return up


def example_command():
    """The command of the example's image."""
    text = (ROOT / "examples" / "django" / "Dockerfile").read_text().replace("\\\n", "")
    return exec_form(text.split("\nCMD ")[1])


def test_the_dashboard_moves(compose_up, clients, dockerfile):
    """Pages of port 7999 show what the third container sends."""
    gripd = compose_up("gripd")
    compose_up("app").wait_for("Listening at: http://0.0.0.0:8000")
    # What the third one waits for (service_healthy).
    check = exec_form(dockerfile["HEALTHCHECK"])[1:]
    assert gripd.inside("/etc/program", *check, mounts=True).wait_end() == 0
    ticker = compose_up("ticker")
    page = Page(clients.chromium(f"http://localhost:{CLIENTS}/", within=gripd.beside()))
    page.run(WATCH)
    page.told("^state live")
    for _ in range(2):
        page.program.wait_for("^swapped orders ")
    shown = page.value("document.querySelector('[sse-swap=orders] .value').innerText")
    ticker.look_again()
    assert ticker.wait_for(rf"\borders\b\D*{shown}\b"), shown
    assert gripd.program.count(" WARN control request refused") == 0, gripd.program.output()
    assert gripd.stop() == 0
