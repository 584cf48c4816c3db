"""The page, and the event stream with the channels that it carries."""

import django_eventstream.urls
from dashboard.components import CHANNEL
from dashboard.views import page
from django.urls import include, path

urlpatterns = [
    path("", page),
    path("events/", include(django_eventstream.urls), {"channels": [CHANNEL]}),
]
