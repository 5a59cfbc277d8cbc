"""An ASGI application for tests that need the uploads process as a process of its own."""

from __future__ import annotations

import django

django.setup()

from tests.videos.conftest import video_of  # noqa: E402 - models load only once Django is set up
from videos.fetchers import Fetchers  # noqa: E402 - see above
from videos.tus.app import TusApplication  # noqa: E402 - see above

application = TusApplication(on_complete=video_of, fetchers=Fetchers(on_complete=video_of))
