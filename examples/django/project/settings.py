"""Settings of the example. What differs from place to place comes from the environment:

GRIP_URL        gripd's control port, where events are published
EVENTS_URL      where browsers find the stream; a full URL if that is another origin than the page's
PAGE_ORIGIN     the origin of the page, if that is another than the stream's
NODE_MODULES    the folder that `npm ci` filled
DJANGO_DEBUG    1: error pages tell the cause
DJANGO_SECRET_KEY
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[1]
NODE_MODULES = Path(os.environ.get("NODE_MODULES", BASE_DIR / "node_modules"))

# Signs the links that django-eventstream gives to gripd. Nobody's secret here: set your own.
SECRET_KEY = os.environ.get(
    "DJANGO_SECRET_KEY", "django-insecure-example-of-a-dashboard-behind-gripd"
)
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"

# gripd passes `Host` on as the browser sent it. The example answers to any name; name yours.
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = [
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_eventstream",
    "dashboard",
]

MIDDLEWARE = [
    # First, so that it adds the GRIP headers last.
    "django_grip.GripMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": []},
    }
]

GRIP_URL = os.environ.get("GRIP_URL", "http://localhost:5561")

# Only for a page of another origin. Its browser asks with credentials, because htmx's extension
# does so always, and then the origin must be named: `*` is not enough.
EVENTSTREAM_ALLOW_ORIGIN = os.environ.get("PAGE_ORIGIN", "http://localhost:8000")
EVENTSTREAM_ALLOW_CREDENTIALS = True
EVENTS_URL = os.environ.get("EVENTS_URL", "/events/")

STATIC_URL = "static/"
STATICFILES_DIRS = [
    ("htmx", NODE_MODULES / "htmx.org" / "dist"),
    ("htmx-ext-sse", NODE_MODULES / "htmx-ext-sse" / "dist"),
]
WHITENOISE_USE_FINDERS = True  # no `collectstatic`: the files are few

TIME_ZONE = "UTC"
USE_TZ = True
