"""The licence check of `tests/licences.py` itself."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from licences import faults, satisfied  # noqa: E402, found only by the line above

ALLOWED = {"MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0", False),
        ("MIT OR GPL-3.0", True),
        ("GPL-3.0 OR MIT", True),
        ("MIT/GPL-3.0", True),
        ("MIT AND GPL-3.0", False),
        ("GPL-3.0 AND MIT OR ISC", True),
        ("ISC AND (GPL-3.0 OR LGPL-2.1)", False),
        ("ISC AND (GPL-3.0 OR MIT)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT WITH LLVM-exception", False),
    ],
)
def test_licence_expressions(expression, expected):
    """SPDX expressions against a list."""
    assert satisfied(expression, ALLOWED) is expected


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"license": "GPL-3.0"}, "licence GPL-3.0"),
        ({"license": None}, "names no licence"),
        ({"source": "git+https://example.org/a"}, "not from a registry"),
        ({"name": "openssl"}, "bans.deny"),
        ({"name": "roots", "license": "CDLA-Permissive-2.0"}, None),
    ],
)
def test_rules_of_deny_toml(change, fault):
    """One package that breaks one rule."""
    exception = {"crate": "roots", "allow": ["CDLA-Permissive-2.0"]}
    rules = {
        "licenses": {"allow": ["MIT"], "exceptions": [exception]},
        "bans": {"deny": [{"crate": "openssl"}]},
    }
    package = {"name": "a", "version": "1.0.0", "license": "MIT", "source": "registry+index"}
    package |= change
    found = list(faults(package, rules))
    assert len(found) == (fault is not None)
    assert fault is None or fault in found[0]
