"""A page in headless Chromium: `node/browser.mjs`, told what to do line by line."""

import json


class Page:
    """A page in the browser."""

    def __init__(self, program):
        self.program = program
        self._asked = 0

    def ask(self, line):
        """Has the browser do something; its answer."""
        self.program.tell(line)
        self._asked += 1
        return self.told(f"^={self._asked} (.*)")[1]

    def told(self, pattern):
        """Waits for a line that matches, among those before too."""
        self.program.look_again()
        return self.program.wait_for(pattern)

    def value(self, expression):
        """What a JavaScript expression is."""
        return json.loads(self.ask("eval " + expression))

    def run(self, script):
        """Runs a script."""
        self.ask("eval {" + " ".join(line.strip() for line in script.splitlines()) + "}")

    def type(self, text):
        """Presses the keys of a text."""
        for key in text:
            self.ask(f"press {'Space' if key == ' ' else key}")
