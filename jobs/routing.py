"""Addresses of WebSockets."""

from __future__ import annotations

from django.urls import path

from jobs.consumers import JobEventsConsumer

websocket_urlpatterns = [path("ws/v1/events", JobEventsConsumer.as_asgi())]
