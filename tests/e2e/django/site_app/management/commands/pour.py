"""`manage.py pour CHANNEL`: publishes numbered events until standard input ends."""

import sys
import threading

from django.core.management.base import BaseCommand
from django_eventstream import send_event


class Command(BaseCommand):
    """The command."""

    help = "Sends the events 0, 1, 2 and so on, and says at the end how many."

    def add_arguments(self, parser):
        """Channel."""
        parser.add_argument("channel")

    def handle(self, *args, channel, **options):
        """Sends."""
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
        sent = 0
        while not ended.wait(0.002):  # a little air for the site, which has the same two cores
            send_event(channel, "message", {"n": sent})
            sent += 1
        self.stdout.write(f"sent {sent}")
