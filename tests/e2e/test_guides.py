"""The pages for who comes from Flask or plain PHP, followed from top to bottom."""

import pytest
from proxy import PUSHPIN, ROOT
from reader import Reader


@pytest.mark.skipif(PUSHPIN, reason="the documents are gripd's")
@pytest.mark.parametrize("name", ["flask.md", "php.md"])
def test_the_page_can_be_followed(programs, tmp_path, name):
    """Its commands are run as they stand there."""
    Reader(programs, tmp_path).follow(ROOT / "docs" / name)
