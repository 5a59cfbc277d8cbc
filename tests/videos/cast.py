"""Videos, operations and outputs for tests that need rows and bytes, not media."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from engine.types.media import AudioStream, MediaInfo, VideoStream
from engine.types.plan import MASTER, MEMBERS
from engine.types.results import Artifact, Check, MemberFile, Verification
from users.models import User
from videos import storage
from videos.models import Operation, Output, Upload, Video
from videos.services.operations import operation_get_or_create
from videos.services.outputs import outputs_place, outputs_record
from videos.services.uploads import upload_advance, upload_create
from videos.services.videos import video_create_from_upload, video_intake_succeed

CONTENT = b"pretend these are pictures"
MEDIA = MediaInfo(
    container="mp4",
    format_names=("mov", "mp4"),
    duration=12.5,
    size=len(CONTENT),
    video=(VideoStream(index=0, codec="h264", width=1920, height=1080, rotation=90),),
    audio=(AudioStream(index=1, codec="aac"),),
)


def complete_upload(
    owner: User, content: bytes = CONTENT, *, filename: str = "clip.mp4", title: str = ""
) -> Upload:
    """An upload whose last byte has just been counted."""
    upload = upload_create(owner=owner, length=len(content), filename=filename, title=title)
    storage.upload_path(upload.pk).write_bytes(content)
    return upload_advance(upload=upload, from_offset=0, to_offset=len(content))


def processing_video(owner: User, *, filename: str = "clip.mp4", title: str = "") -> Video:
    return video_create_from_upload(upload=complete_upload(owner, filename=filename, title=title))


def ready_video(owner: User, *, thumbnail: Path | None = None, **names: str) -> Video:
    video = processing_video(owner, **names)
    digest = hashlib.sha256(CONTENT).hexdigest()
    ready = video_intake_succeed(video_id=video.pk, media=MEDIA, sha256=digest, thumbnail=thumbnail)
    assert ready is not None
    return ready


def artifact(folder: Path, role: str = "resize", content: bytes = b"smaller pictures") -> Artifact:
    """A result as the engine leaves it in a working directory."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{role}.mp4"
    path.write_bytes(content)
    return Artifact(
        role=role,
        path=path,
        extension="mp4",
        content_type="video/mp4",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        media_info=MEDIA,
        verification=Verification(report=(Check(name="width", passed=True, expected="1", actual="1"),)),
    )


def stream_artifact(folder: Path) -> Artifact:
    """A stream of one size as the engine leaves it in a working directory."""
    (folder / "stream" / MEMBERS).mkdir(parents=True)
    master = folder / "stream" / MASTER
    contents = {"180p.mp4": b"pictures", "180p.m3u8": b"#EXTM3U"}
    master.write_bytes(b"#EXTM3U files/180p.m3u8")
    for name, content in contents.items():
        (master.parent / MEMBERS / name).write_bytes(content)
    types = {"180p.mp4": "video/mp4", "180p.m3u8": "application/vnd.apple.mpegurl"}
    return artifact(folder).model_copy(
        update={
            "role": "stream",
            "path": master,
            "extension": "m3u8",
            "content_type": types["180p.m3u8"],
            "size": master.stat().st_size + sum(map(len, contents.values())),
            "members": tuple(
                MemberFile(
                    name=name,
                    content_type=types[name],
                    size=len(content),
                    sha256=hashlib.sha256(content).hexdigest(),
                )
                for name, content in contents.items()
            ),
        }
    )


def output_of(video: Video, folder: Path) -> Output:
    """A published result of a completed operation."""
    return published(video, "resize", artifact(folder))


def published(video: Video, type_: str, made: Artifact) -> Output:
    """An artifact as the only result of a completed operation."""
    operation, _ = operation_get_or_create(
        video=video, type=type_, parameters={"width": 640}, fingerprint="0" * 64
    )
    Operation.objects.filter(pk=operation.pk).update(status=Operation.Status.COMPLETED)
    placed = outputs_place(artifacts=[made])
    return outputs_record(operation=operation, placed=placed, video=video)[0]


def sent_from(response: Any) -> str:
    """The place of the file that the edge is told to send, below the media folder or in the bucket."""
    if "X-Bucket-Address" in response.headers:
        path = urlsplit(str(response.headers["X-Bucket-Address"])).path
        return "/" + path.removeprefix(f"/{settings.S3_BUCKET}/{settings.S3_PREFIX}")
    return str(response.headers["X-Accel-Redirect"])
