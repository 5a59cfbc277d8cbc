"""The web process: pages, API, admin and WebSockets, served by daphne."""

from __future__ import annotations

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "videoproc.settings")
django_application = get_asgi_application()

from jobs.consumers import open_sockets  # noqa: E402 - see below
from jobs.routing import websocket_urlpatterns  # noqa: E402 - models load only once Django is set up
from telemetry.recorder import recorder  # noqa: E402
from videoproc.close_codes import allow_registered_codes  # noqa: E402
from videoproc.process_gauges import process_watch  # noqa: E402

allow_registered_codes()
process_watch()
recorder.source(open_sockets)

application = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
