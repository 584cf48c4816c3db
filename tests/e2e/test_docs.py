"""Links of all documents lead somewhere, and no block of commands is left out of the tests."""

import re
import subprocess

import pytest

from markdown import anchors, blocks, prose
from proxy import ROOT
from reader import FOLLOWED

LINK = re.compile(r"\]\(([^)\s]+)\)")

# Documents whose commands are not run as they stand there, and why not.
NOT_RUN = {
    "docs/django.md": "needs the engine of containers or a project of the reader's; its settings "
    "are those of examples/django, which test_dashboard.py runs, with every log line",
    "docs/control.md": "needs a secret of the reader's; test_control.py, tests/credentials.rs and "
    "tests/control_port.rs do what it says",
    "docs/migrating.md": "README has the command; test_migrating.py asks gripd for each setting",
    "examples/chat/README.md": "test_chat.py runs what it starts, and gripd as it says",
    "examples/django/README.md": "test_dashboard.py and test_compose.py run what it starts",
    "examples/rails/README.md": "test_rails.py runs what it starts, and gripd as it says",
}


def documents():
    """Every document of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.splitlines() or [str(p.relative_to(ROOT)) for p in ROOT.glob("*.md")]
    return [name for name in sorted(names) if (ROOT / name).exists()]


@pytest.mark.parametrize("name", documents())
def test_links_lead_somewhere(name):
    """Files are there, and so are the headings that are named."""
    file = ROOT / name
    for link in LINK.findall(prose(file.read_text())):
        if link.startswith(("https://", "http://")):
            continue
        path, _, heading = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), f"{name}: {link}"
        assert not heading or heading in anchors(target.read_text()), f"{name}: {link}"


@pytest.mark.parametrize("name", documents())
def test_commands_are_run_or_said_not_to_be(name):
    """A document with commands is followed, or named above with the reason."""
    has_commands = any(block.kind == "sh" for block in blocks(ROOT / name))
    assert has_commands == (name in {*FOLLOWED, *NOT_RUN}), name


def test_links_are_found():
    """The search sees what it should, and nothing in code."""
    text = "# A b: c `d`\n[a](x.md) `[b](y)`\n```sh\n# no\n[c](z)\n```\n"
    assert LINK.findall(prose(text)) == ["x.md"]
    assert anchors(text) == {"a-b-c-d"}
