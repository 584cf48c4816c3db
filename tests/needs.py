"""What the steps of `tests/run` need beside Rust, and how it is fetched.

A need tells by `missing()` what it is going to install and where, and None when all is here;
`fetch()` installs it, or raises Skipped with what a person can do instead. All but Debian's
packages goes into `target/` of this checkout.
"""

import os
import shutil
import subprocess
import sys

from command import ROOT, Failed, Skipped, run

E2E = ROOT / "tests" / "e2e"
EXAMPLE = ROOT / "examples" / "django"
CHAT_EXAMPLE = ROOT / "examples" / "chat"
BUILT = ROOT / "target" / "e2e"


class Venv:
    """A virtual environment of Python with the packages of tests/e2e/requirements.txt."""

    folder = BUILT / "venv"
    python = folder / "bin" / "python"
    wanted = (E2E / "requirements.txt", EXAMPLE / "requirements.txt")  # the first names the second

    def missing(self):
        """See above."""
        if not up_to_date(self.folder, self.wanted):
            return f"{names(self.wanted)} from PyPI, into {here(self.folder)}"
        return None

    def fetch(self):
        """See above."""
        try:
            self.make()
            quiet = ("--quiet", "--disable-pip-version-check")
            run(self.python, "-m", "pip", "install", *quiet, "-r", self.wanted[0])
        except Failed as why:
            raise Skipped(f"no packages from PyPI: {why}") from why
        note(self.folder, self.wanted)

    def make(self):
        """Makes it empty; Debian keeps what that needs in a package of its own."""
        create = [sys.executable, "-m", "venv", "--clear", self.folder]
        try:
            run(*create)
        except Failed:
            Debian("python3-venv").fetch()
            run(*create)


class Npm:
    """A folder with the npm packages that these files want."""

    def __init__(self, name, command, *wanted):
        self.folder = BUILT / name
        self.command = command
        self.wanted = wanted

    def missing(self):
        """See above."""
        if not (shutil.which("node") and shutil.which("npm")):
            return f"nothing of {names(self.wanted)}: {NO_NODE}"
        if not up_to_date(self.folder, self.wanted):
            return f"{names(self.wanted)} from npm, into {here(self.folder)}"
        return None

    def fetch(self):
        """See above."""
        if not (shutil.which("node") and shutil.which("npm")):
            raise Skipped(NO_NODE)
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in self.wanted:
            shutil.copy(file, self.folder)
        try:
            run("npm", self.command, "--no-audit", "--no-fund", cwd=self.folder)
        except Failed as why:
            raise Skipped(f"no packages from npm: {why}") from why
        note(self.folder, self.wanted)


class CargoTool:
    """A tool of cargo's: the machine's own, or one built into target/tools."""

    folder = ROOT / "target" / "tools"

    def __init__(self, name):
        self.name = name

    def path(self):
        """Where it is, if it is."""
        search = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return shutil.which(self.name, path=search)

    def missing(self):
        """See above."""
        if self.path():
            return None
        return f"{self.name}, built from crates.io in some minutes, into {here(self.folder)}"

    def fetch(self):
        """See above."""
        try:
            run("cargo", "install", self.name, "--locked", "--quiet", "--root", self.folder)
        except Failed as why:
            raise Skipped(f"{self.name} cannot be built: {why}") from why


class Debian:
    """A package of Debian, unless one of its programs, or what a variable names, is here."""

    def __init__(self, package, *programs, variable=""):
        self.package = package
        self.programs = programs
        self.variable = variable

    def missing(self):
        """See above."""
        if os.environ.get(self.variable) or any(map(shutil.which, self.programs)):
            return None
        way = self.way()
        if way is None:
            return f"not {self.package}, for which this needs root; {self.by_hand()}"
        return f"{self.package} from Debian, into the system ({' '.join([*way, 'apt-get'])})"

    def fetch(self):
        """See above."""
        way = self.way()
        if way is None:
            raise Skipped(f"{self.package} is not here; {self.by_hand()}")
        install = ["apt-get", "install", "-y", "--no-install-recommends", self.package]
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            run(*way, "apt-get", "update", "-q", env=quiet)
            run(*way, *install, env=quiet)
        except Failed as why:
            message = f"{self.package} cannot be installed ({why}); {self.by_hand()}"
            raise Skipped(message) from why

    def by_hand(self):
        """The line for a person to type."""
        return f"run: {'' if os.geteuid() == 0 else 'sudo '}apt-get install {self.package}"

    @staticmethod
    def way():
        """What stands before apt-get; None: it is not here, or a password would be asked for."""
        if not shutil.which("apt-get"):
            return None
        if os.geteuid() == 0:
            return []
        sudo = ["sudo", "-n"]
        if not shutil.which("sudo"):
            return None
        trial = subprocess.run([*sudo, "true"], capture_output=True, check=False)
        return None if trial.returncode else sudo


NO_NODE = "Node.js is not here; install node and npm, version 20 or later"

VENV = Venv()
NODE = Npm("node", "install", E2E / "node" / "package.json")
DASHBOARD = Npm("dashboard", "ci", EXAMPLE / "package.json", EXAMPLE / "package-lock.json")
CHAT = Npm("chat", "ci", CHAT_EXAMPLE / "package.json", CHAT_EXAMPLE / "package-lock.json")
CARGO_FUZZ = CargoTool("cargo-fuzz")
CURL = Debian("curl", "curl")
PUSHPIN = Debian("pushpin", "pushpin")
RAILS = Debian("ruby-rails", "rails")
PUMA = Debian("puma", "puma")
PHP = Debian("php-cli", "php")
VALGRIND = Debian("valgrind", "valgrind")
CHROMIUM = Debian(
    "chromium", "chromium", "chromium-browser", "google-chrome", variable="CHROMIUM"
)


def up_to_date(folder, wanted):
    """Whether a folder holds what these files want."""
    stamp = folder / "installed"
    return stamp.exists() and stamp.read_bytes() == contents(folder, wanted)


def note(folder, wanted):
    """Notes that a folder holds what these files want."""
    (folder / "installed").write_bytes(contents(folder, wanted))


def contents(folder, files):
    """What the files say, and where the folder is: a virtual environment cannot be moved."""
    return b"".join([f"{folder}\n".encode(), *(file.read_bytes() for file in files)])


def names(files):
    """Files of this checkout, for people."""
    return " and ".join(here(file) for file in files)


def here(path):
    """A path as it is called from the top folder."""
    return str(path.relative_to(ROOT))
