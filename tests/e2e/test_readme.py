"""README, followed from top to bottom by a `Reader`."""

import re
import subprocess
import sys
import urllib.request

import pytest
import yaml
from gripcontrol import GripPubControl, parse_grip_uri

from conftest import NODE
from markdown import blocks
from program import DEADLINE, free_port
from proxy import PUSHPIN, ROOT, SHIPPED_CONF, gripd_program
from reader import FOLLOWED, Reader

pytestmark = pytest.mark.skipif(PUSHPIN, reason="README is gripd's")

README = ROOT / "README.md"


def test_readme_can_be_followed(programs, tmp_path):
    """From the first command to the last."""
    (tmp_path / "pushpin").mkdir()
    (tmp_path / "pushpin" / "pushpin.conf").write_text(SHIPPED_CONF)
    (tmp_path / "pushpin" / "routes").write_text("* test\n")
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    project = [sys.executable, "-m", "django", "startproject", "mysite", tmp_path]
    subprocess.run(project, check=True)
    Reader(programs, tmp_path).follow(README)


@pytest.mark.parametrize("name", FOLLOWED)
def test_every_block_is_followed(name):
    """Or says why not, or shows what the one before it prints."""
    found = blocks(ROOT / name)
    for before, block in zip([None, *found], found, strict=False):
        known = ("serve", "run", "more", "append", "manifest", "skip")
        if not block.words:
            assert block.kind == "text" and before.words, f"line {block.line}: no comment"
        else:
            assert block.says in known, f"line {block.line}: {block.words}"
            assert block.says != "skip" or len(block.words) > len("skip: "), block.line


def test_the_manifests_suit_the_image(programs):
    """Names lead somewhere, gripd takes the environment, and the probes are answered."""
    (block,) = [block for block in blocks(README) if block.says == "manifest"]
    deployment, *services = yaml.safe_load_all(block.text)
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"clients": 7999, "control": 5561}
    for service in services:
        assert service["spec"]["selector"] == labels
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] in ports
    assert template["spec"]["terminationGracePeriodSeconds"] > 8 + 1

    env = {entry["name"]: entry["value"] for entry in container["env"]}
    keys = {"GRIPD_GRIP_SIG_KEY", "GRIPD_CONTROL_JWT_ISS", "GRIPD_CONTROL_JWT_KEY"}
    assert set(env) == {"target", *keys}
    argv = [gripd_program(), "image", "--config", "/dev/null", "--port", "0"]
    control = free_port()
    gripd = programs.start([*argv, "--control", str(control)], env=env)
    gripd.wait_for("try: ")
    assert gripd.count("changeme") + gripd.count(" WARN ") == 0, gripd.output()
    for probe in (container["livenessProbe"], container["readinessProbe"]):
        assert ports[probe["httpGet"]["port"]] == 5561
        url = f"http://127.0.0.1:{control}{probe['httpGet']['path']}"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            assert answer.status == 200
    # As publishers are told to call the second service.
    (url,) = re.findall(r"# publishers: GRIP_URL=(\S+)", block.text)
    service = f"{services[1]['metadata']['name']}:5561"
    assert service in url
    grip = GripPubControl(parse_grip_uri(url.replace(service, f"127.0.0.1:{control}")))
    grip.clients[0].requests_session.headers["Host"] = service
    grip.publish_http_stream("test", "hello", blocking=True)
    with pytest.raises(ValueError, match="Unauthorized"):
        GripPubControl({"control_uri": f"http://127.0.0.1:{control}"}).publish_http_stream(
            "test", "hello", blocking=True
        )
