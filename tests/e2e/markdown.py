"""The documents as tests see them: fenced blocks with what a comment before one says of it, and
links. The comment is a line `<!-- test: WORDS -->`, which no reader sees."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?:<!-- test: (?P<words>[^\n]+) -->\n)?(?P<indent> *)```(?P<kind>\w*)\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass
class Block:
    """One fenced block."""

    kind: str
    text: str
    words: str
    line: int

    @property
    def says(self):
        """What is to be done with it: the first of its words."""
        return self.words.split(" ")[0].rstrip(":")


def blocks(file):
    """The fenced blocks of a document, in order."""
    text = Path(file).read_text()
    found = []
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match["kind"], match["text"], match["words"] or "", line))
    return found


def prose(text):
    """A document without its code, where brackets mean something else."""
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", text))


def anchors(text):
    """What `#...` of a link may name: the headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}
