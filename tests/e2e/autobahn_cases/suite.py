"""The case classes of `autobahntestsuite` (PyPI), read as the Python 2 that they are.

Nothing converted is kept: each file is put right in memory while it is imported. In Python 2 a
string is bytes, so here its characters are bytes, 0 to 255 (`octets` makes bytes of them): the
files are read as Latin-1, and what they import takes such strings.
"""

import binascii
import builtins
import importlib.util
import re
import types
from fnmatch import fnmatchcase
from pathlib import Path

from autobahn.websocket.utf8validator import Utf8Validator

SUITE = Path(importlib.util.find_spec("autobahntestsuite").submodule_search_locations[0])

# Switched off in the suite itself, and it wants Twisted.
LEFT_OUT = "case9_9_1"

# What is written otherwise today, in Python and in the library autobahn.
NEWER = {
    r"(?m)^(\s*)print\b(.*)$": r"\1print(\2)",
    r"\bxrange\b": "range",
    r"\(object, Case, \)": "(Case, )",  # a class may not stand behind one that it is made of
    r"\) / self": ") // self",
    r"\brequestNoContextTakeover\b": "request_no_context_takeover",
    r"\brequestMaxWindowBits\b": "request_max_window_bits",
}


def load():
    """Every case of the suite, in its order, by id such as `9.1.6`."""
    cases = Importer().load("__init__").Cases
    return {case.__name__.removeprefix("Case").replace("_", "."): case for case in cases}


def select(cases, patterns):
    """The ids that match one of these patterns, such as `1.1.1`, `9.*` or `*`."""
    return [name for name in cases if any(fnmatchcase(name, pattern) for pattern in patterns)]


def octets(text):
    """Bytes of a string of the suite; bytes stay what they are."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Importer:
    """Imports the modules of the suite's folder `case`, and what they ask for."""

    def __init__(self):
        self._modules = {
            "binascii": module(b2a_hex=hexadecimal, hexlify=hexadecimal),
            "pkg_resources": module(resource_filename=lambda _, name: str(SUITE / name)),
            "autobahn.websocket.utf8validator": module(Utf8Validator=Validator),
            LEFT_OUT: module(),
        }

    def load(self, name):
        """The module of this name; its file is run once."""
        if name not in self._modules:
            file = SUITE / "case" / f"{name}.py"
            source = file.read_text("latin-1")
            for old, new in NEWER.items():
                source = re.sub(old, new, source)
            names = {"__builtins__": {**vars(builtins), "__import__": self}}
            self._modules[name] = loaded = module(**names)
            exec(compile(source, file, "exec"), vars(loaded))
        return self._modules[name]

    def __call__(self, name, *how):
        """In the place of `__import__`."""
        if name in self._modules or re.fullmatch(r"case(\d+_\w+)?", name):
            return self.load(name)
        return __import__(name, *how)


class Validator(Utf8Validator):
    """Takes the suite's strings."""

    def validate(self, text):
        """See above."""
        return super().validate(octets(text))


def hexadecimal(text):
    """Bytes in hexadecimal, as a string."""
    return binascii.hexlify(octets(text)).decode()


def module(**names):
    """A module with these names."""
    made = types.ModuleType("module")
    vars(made).update(names)
    return made
