"""Fixtures of other rooms: the uploads process, and a real worker."""

from __future__ import annotations

from tests.jobs.conftest import clip, quiet_redis, site, start_worker, submit, video, worker_environment
from tests.videos.conftest import alice_uploads, uploads_url

__all__ = [
    "alice_uploads",
    "clip",
    "quiet_redis",
    "site",
    "start_worker",
    "submit",
    "uploads_url",
    "video",
    "worker_environment",
]
