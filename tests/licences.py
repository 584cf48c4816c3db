"""Checks all dependencies against deny.toml: their licences, where they come from, and bans.

Reads the parts of cargo-deny's file that gripd uses (`licenses.allow`, `licenses.exceptions`,
`sources.allow-git`, `bans.deny`), in a second instead of the minutes that building cargo-deny
takes. Prints every fault; exit code 1 when there is one.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # before Python 3.11; pip carries the same parser
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]


def main():
    """Reads both sides and compares."""
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    packages = [package for package in read_packages() if package["source"]]
    found = [fault for package in packages for fault in faults(package, rules)]
    print("\n".join(found) or f"{len(packages)} dependencies, no fault")
    return 1 if found else 0


def read_packages():
    """All packages that are built on this platform, tests included."""
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"^host: (.+)$", version, re.MULTILINE)[1]
    metadata = cargo("metadata", "--format-version", "1", "--filter-platform", host)
    # That lists crates, too, which others name for a feature that nobody asks for: the tree has
    # only what is built.
    tree = cargo("tree", "--target", host, "--all-features", "--prefix", "none", "--format", "{p}")
    built = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    packages = json.loads(metadata)["packages"]
    return [one for one in packages if (one["name"], f"v{one['version']}") in built]


def cargo(command, *options):
    """What a command of cargo's prints."""
    argv = ["cargo", command, "--locked", *options]
    return subprocess.run(argv, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout


def faults(package, rules):
    """What is wrong with one package, as sentences."""
    name = f"{package['name']} {package['version']}"
    licences = rules.get("licenses", {})
    allowed = set(licences.get("allow", []))
    for exception in licences.get("exceptions", []):
        if crate_name(exception) == package["name"]:
            allowed |= set(exception.get("allow", []))
    expression = package["license"]
    if not expression:
        yield f"{name}: names no licence"
    elif not satisfied(expression, allowed):
        yield f"{name}: licence {expression} is not in licenses.allow"

    source = package["source"]
    git = rules.get("sources", {}).get("allow-git", [])
    if not source.startswith(("registry+", "sparse+")) and not any(url in source for url in git):
        yield f"{name}: comes from {source}, not from a registry"

    banned = {crate_name(ban) for ban in rules.get("bans", {}).get("deny", [])}
    if package["name"] in banned:
        yield f"{name}: stands in bans.deny"


def crate_name(entry):
    """The crate that an entry of deny.toml is about: `"name"`, `{ name = … }`, `{ crate = … }`."""
    spec = entry if isinstance(entry, str) else entry.get("crate") or entry.get("name", "")
    return re.split("[@:]", spec)[0]


def satisfied(expression, allowed):
    """Whether an SPDX expression can be met with the allowed licences.

    `AND` binds tighter than `OR`; `/` is crates.io's old way to write `OR`.
    """
    words = re.findall(r"[()]|[^\s()/]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while words and words[0] == "OR":
            words.pop(0)
            met = both() or met  # the right side is read in any case
        return met

    def both():
        met = one()
        while words and words[0] == "AND":
            words.pop(0)
            met = one() and met
        return met

    def one():
        word = words.pop(0)
        if word == "(":
            met = either()
            words.pop(0)
            return met
        if words and words[0] == "WITH":
            word = f"{word} WITH {words[1]}"
            del words[:2]
        return word in allowed

    return either()


if __name__ == "__main__":
    sys.exit(main())
