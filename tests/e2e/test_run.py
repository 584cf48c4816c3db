"""`tests/run` itself: what it says before it installs anything."""

import shutil
import subprocess
import sys

import pytest

from proxy import ROOT

sys.path.insert(0, str(ROOT / "tests"))
import command  # noqa: E402, found only by the line above
import needs  # noqa: E402
from command import Skipped  # noqa: E402


def run(*words):
    """Runs it; returns what came of it."""
    argv = [sys.executable, ROOT / "tests" / "run", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_it_lists_its_steps_and_knows_no_others():
    """`--list`, and a name that is none."""
    listed = run("--list")
    assert listed.returncode == 0
    assert "readme " in listed.stdout
    unknown = run("nonsense")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert unknown.stderr.startswith("no step nonsense; there are: fmt, ")


def test_a_failed_command_is_remembered_by_its_last_lines():
    """What it printed is shown as it comes, and kept for the end of the run."""
    with pytest.raises(command.Failed, match="exit code 3") as failed:
        command.run("sh", "-c", "seq 100; echo why >&2; exit 3")
    assert failed.value.last[-2:] == ["100", "why"]
    assert len(failed.value.last) == command.LAST_LINES


def test_what_was_installed_for_another_checkout_is_not_used(tmp_path):
    """A virtual environment cannot be moved, nor does it suit other wishes."""
    wanted = tmp_path / "requirements.txt"
    wanted.write_text("one\n")
    first, moved = tmp_path / "first", tmp_path / "moved"
    first.mkdir()
    assert not needs.up_to_date(first, [wanted])
    needs.note(first, [wanted])
    assert needs.up_to_date(first, [wanted])
    shutil.move(first, moved)
    assert not needs.up_to_date(moved, [wanted])
    needs.note(moved, [wanted])
    wanted.write_text("two\n")
    assert not needs.up_to_date(moved, [wanted])


@pytest.mark.parametrize(
    ("user", "sudo", "says"),
    [
        (0, 1, "nothing-like-it from Debian, into the system (apt-get)"),
        (1000, 0, "nothing-like-it from Debian, into the system (sudo -n apt-get)"),
        (1000, 1, "not nothing-like-it, for which this needs root; run: sudo apt-get install "),
    ],
)
def test_debian_is_asked_only_by_who_may(monkeypatch, tmp_path, user, sudo, says):
    """As root, or with a sudo that wants no password; otherwise a person gets the line."""
    for name, code in (("apt-get", 1), ("sudo", sudo)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr("os.geteuid", lambda: user)
    package = needs.Debian("nothing-like-it", "nothing-like-it")
    assert package.missing().startswith(says)
    if says.startswith("not "):
        with pytest.raises(Skipped, match="run: sudo apt-get install nothing-like-it"):
            package.fetch()
