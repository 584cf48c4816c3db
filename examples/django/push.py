#!/usr/bin/env python
"""Sends one number to every open page from a process that is no part of the site.

A worker, a cron job or another service does it the same way. Usage: push.py NAME VALUE,
for instance `python push.py orders 1234`.
"""

import os
import sys
from dataclasses import replace

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

from dashboard import components  # noqa: E402, Django must be set up first


def main(arguments):
    """Sends, and returns the exit code."""
    stats = {stat.event: stat for stat in components.stats()}
    match arguments:
        case [name, value] if name in stats and value.isdecimal():
            stat = replace(stats[name], value=int(value))
        case _:
            print(f"usage: push.py NAME VALUE; names: {', '.join(stats)}", file=sys.stderr)
            return 2
    try:
        stat.send()
    except ValueError as error:
        print(f"cannot publish: {error}", file=sys.stderr)
        return 1
    print(stat)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
