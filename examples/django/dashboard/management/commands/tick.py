"""`manage.py tick`: measures, and sends what it measured to every open page, again and again."""

import signal
import threading

from dashboard import components
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """The command."""

    help = "Sends all components of the dashboard, once or every so often."

    def add_arguments(self, parser):
        """How often."""
        parser.add_argument("--once", action="store_true", help="send them once and end")
        parser.add_argument("--every", type=float, default=1, metavar="SECONDS", help="default: 1")

    def handle(self, *args, once, every, **options):
        """Sends until it is asked to end."""
        if once:
            self.send_all()
            return
        # In a container this is the first process, which a signal does not end by itself.
        stop = threading.Event()
        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, lambda *_: stop.set())
        while not stop.wait(every):
            try:
                self.send_all()
            except CommandError as error:
                self.stderr.write(str(error))  # gripd may be there the next time

    def send_all(self):
        """Sends every component, and tells what it sent."""
        parts = [*components.stats(), components.chart()]
        for part in parts:
            try:
                part.send()
            except ValueError as error:
                raise CommandError(f"cannot publish: {error}") from error
        self.stdout.write(", ".join(map(str, parts)))
