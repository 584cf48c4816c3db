"""The paths of the test site."""

import django_eventstream.urls
from django.urls import include, path

from . import sockets, views

urlpatterns = [
    path("events/", include(django_eventstream.urls), {"channels": ["test"]}),
    path("page/", views.page),
    path("proxied/", views.proxied),
    path("ticks/", views.ticks),
    path("gzipped-hold/", views.gzipped_hold),
    path("socket/", sockets.socket),
    path("refused/", sockets.refused),
    path("publish/", sockets.publish),
]
