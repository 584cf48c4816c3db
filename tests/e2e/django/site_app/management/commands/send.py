"""`manage.py send CHANNEL TEXT`: publishes an event from a process that serves no requests."""

from django.core.management.base import BaseCommand
from django_eventstream import send_event


class Command(BaseCommand):
    """The command."""

    help = "Sends one event to a channel."

    def add_arguments(self, parser):
        """Channel and text."""
        parser.add_argument("channel")
        parser.add_argument("text")

    def handle(self, *args, channel, text, **options):
        """Sends."""
        send_event(channel, "message", {"text": text})
