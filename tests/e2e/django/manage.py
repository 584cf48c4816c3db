#!/usr/bin/env python
"""Django's usual entry point for the test site."""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_app.settings")
execute_from_command_line(sys.argv)
