"""Where the numbers come from. In your project these are queries; here each is made of the clock
alone, so that the page and the processes that send events agree without a database.

Times are seconds since the epoch.
"""

import math
import random

WINDOW = 60  # seconds that the chart shows


def visitors(now):
    """How many people look at the shop."""
    return round(240 + 60 * _wave(now, 180) + 12 * _noise("visitors", now))


def orders(now):
    """How many orders came since midnight (UTC)."""
    return int(now % 86_400 / 7)


def response_time(now):
    """How long the shop took to answer, in milliseconds."""
    return round(42 + 9 * _wave(now, 90) + 6 * _noise("response", now))


def requests(now):
    """Requests a second in each second of the window, the latest last."""
    last = int(now)
    return [_requests_at(second) for second in range(last - WINDOW + 1, last + 1)]


def _requests_at(second):
    return round(520 + 140 * _wave(second, 45) + 60 * _noise("requests", second))


def _wave(now, period):
    return math.sin(now * math.tau / period)


def _noise(name, now):
    """From -1 to 1; the same all through a second."""
    return random.Random(f"{name} {int(now)}").uniform(-1, 1)
