"""The page."""

from django.conf import settings
from django.shortcuts import render

from . import components


def page(request):
    """The dashboard with its components as they are now; events change them from there."""
    context = {
        "stats": components.stats(),
        "chart": components.chart(),
        "events_url": settings.EVENTS_URL,
    }
    return render(request, "dashboard/page.html", context)
