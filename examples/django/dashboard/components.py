"""The parts of the page that change. Each has a template, and an event by whose name htmx swaps it.

The page renders them first; afterwards any process sends them, rendered the same way.
"""

import time
from dataclasses import dataclass

from django.template.loader import render_to_string
from django_eventstream import send_event

from . import measurements

CHANNEL = "dashboard"


@dataclass(frozen=True)
class Component:
    """What all have: the name of the event, and what is to be read above the figure."""

    event: str
    label: str

    template = None  # set by each kind

    def render(self):
        """The HTML inside the component's place on the page."""
        return render_to_string(self.template, {"component": self})

    def send(self):
        """Swaps the component in every open page.

        Raises ValueError if gripd cannot be reached. That is what `async_publish=False` is for:
        otherwise the event is sent in the background, and nobody hears of a failure.
        """
        send_event(CHANNEL, self.event, self.render(), json_encode=False, async_publish=False)


@dataclass(frozen=True)
class Stat(Component):
    """One number."""

    value: int
    unit: str = ""

    template = "dashboard/components/stat.html"

    def __str__(self):
        return f"{self.event} {self.value}"


@dataclass(frozen=True)
class Chart(Component):
    """A line, drawn in a box that the page stretches as it likes."""

    values: tuple[int, ...]
    unit: str = ""

    template = "dashboard/components/chart.html"
    width, height = 600, 160

    def __str__(self):
        return f"{self.event} {self.now}"

    @property
    def now(self):
        """The latest value."""
        return self.values[-1]

    @property
    def lowest(self):
        """The smallest value."""
        return min(self.values)

    @property
    def highest(self):
        """The greatest value."""
        return max(self.values)

    @property
    def summary(self):
        """What the line shows, for who does not see it."""
        return (
            f"{self.label} {self.unit} in the last minute: now {self.now}, "
            f"lowest {self.lowest}, highest {self.highest}"
        )

    @property
    def line(self):
        """The values as points of an SVG line, with some room above and below."""
        step = self.width / max(len(self.values) - 1, 1)
        scale = (self.height - 20) / ((self.highest - self.lowest) or 1)
        places = enumerate(self.values)
        return " ".join(
            f"{index * step:.1f},{self.height - 10 - (value - self.lowest) * scale:.1f}"
            for index, value in places
        )

    @property
    def area(self):
        """The same, closed along the bottom."""
        return f"0,{self.height} {self.line} {self.width},{self.height}"


def stats(now=None):
    """The numbers of the dashboard, as they are now."""
    now = time.time() if now is None else now
    return [
        Stat("visitors", "Visitors", measurements.visitors(now)),
        Stat("orders", "Orders today", measurements.orders(now)),
        Stat("response", "Response time", measurements.response_time(now), unit="ms"),
    ]


def chart(now=None):
    """The chart of the dashboard, as it is now."""
    now = time.time() if now is None else now
    return Chart("requests", "Requests", tuple(measurements.requests(now)), unit="per second")
