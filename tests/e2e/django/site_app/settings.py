"""A small site set up for django-eventstream as its README tells.

What differs from run to run comes from the environment:
GRIP_URL (the control port), E2E_DIR (a folder of this run), E2E_GZIP (compress every answer),
E2E_STORAGE (keep events, so that clients can catch up).
"""

import os
from pathlib import Path

SECRET_KEY = "only for tests"
DEBUG = True
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_eventstream",
    "site_app",
]
MIDDLEWARE = [
    "django_grip.GripMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
if os.environ.get("E2E_GZIP"):
    MIDDLEWARE.insert(0, "django.middleware.gzip.GZipMiddleware")

ROOT_URLCONF = "site_app.urls"
WSGI_APPLICATION = "site_app.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ["E2E_DIR"]) / "db.sqlite3",
    }
}

GRIP_URL = os.environ["GRIP_URL"]
EVENTSTREAM_ALLOW_ORIGIN = "*"
if os.environ.get("E2E_STORAGE"):
    EVENTSTREAM_STORAGE_CLASS = "django_eventstream.storage.DjangoModelStorage"
