"""The uploads process: the bytes of files in, served by uvicorn, and imports from web addresses.

It is apart from the web process because daphne buffers whole bodies and never shows a body that was
cut short; here every byte reaches the disk as it arrives.
"""

from __future__ import annotations

import os
import resource

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "videoproc.settings")
django.setup()

from jobs.services import upload_finish  # noqa: E402 - models load only once Django is set up
from videoproc.process_gauges import process_watch  # noqa: E402
from videoproc.request_watch import UploadsWatch  # noqa: E402
from videos.fetchers import Fetchers  # noqa: E402
from videos.tus.app import TusApplication  # noqa: E402

# A slow upload keeps a connection and a file open for hours: as many of them as this process may have.
_, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))
process_watch()
application = UploadsWatch(
    TusApplication(on_complete=upload_finish, fetchers=Fetchers(on_complete=upload_finish))
)
