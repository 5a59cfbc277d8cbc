"""The web process: pages, API, admin and WebSockets, served by daphne."""

from __future__ import annotations

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "videoproc.settings")
django_application = get_asgi_application()

from jobs.routing import websocket_urlpatterns  # noqa: E402 - models load only once Django is set up
from videoproc.close_codes import allow_registered_codes  # noqa: E402

allow_registered_codes()

application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
