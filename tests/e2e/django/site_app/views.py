"""The pages of the test site, beside django-eventstream's own."""

import os
from pathlib import Path

from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.gzip import gzip_page
from django_grip import set_hold_stream

PAGE = """<!doctype html>
<title>events</title>
<script>
  const url = new URLSearchParams(location.search).get("stream");
  const source = new EventSource(url);
  source.addEventListener("stream-open", () => console.log("open"));
  source.addEventListener("message", (event) => console.log("message " + event.data));
  source.addEventListener("error", () => console.log("error, state " + source.readyState));
</script>
"""


def page(request):
    """Opens the event stream named by `?stream=` and tells the console what comes."""
    return HttpResponse(PAGE)


def proxied(request):
    """Says what django-grip makes of this request."""
    return JsonResponse({"proxied": request.grip.proxied, "signed": request.grip.signed})


def ticks(request):
    """Plain streaming: the second event is made only when the test has seen the first.

    The test writes a line to the named pipe `E2E_DIR/go`; until then the view blocks reading it.
    """

    def events():
        yield "data: tick 1\n\n"
        with (Path(os.environ["E2E_DIR"]) / "go").open() as go:
            go.readline()
        yield "data: tick 2\n\n"

    return StreamingHttpResponse(events(), content_type="text/event-stream")


@gzip_page
def gzipped_hold(request):
    """A hold whose first content is long enough that Django compresses it."""
    set_hold_stream(request, "events-test")
    return HttpResponse("data: start " + "x" * 4000 + "\n\n", content_type="text/event-stream")
