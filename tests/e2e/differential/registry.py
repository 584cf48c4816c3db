"""All scenarios, by name, in the order in which they are written."""

SCENARIOS = {}


def scenario(play):
    """Registers a function of a `World` under its own name."""
    assert play.__name__ not in SCENARIOS, play.__name__
    SCENARIOS[play.__name__] = play
    return play


def table(prefix, rows, play):
    """Registers a scenario for each row: `play(world, *row)`."""
    for name, *row in rows:
        full = f"{prefix}_{name}"
        assert full not in SCENARIOS, full
        SCENARIOS[full] = lambda world, row=row: play(world, *row)
