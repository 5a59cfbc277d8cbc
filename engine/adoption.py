"""Looks at a result that was made elsewhere: is it whole, and is it what it is said to be?

The same checks as for results of our own, except that nobody knows how it was encoded: its codecs are taken
as they are, and small damage is told and not refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from engine.containers import AUDIO_CONTAINERS, VIDEO_CONTAINERS
from engine.control import Control
from engine.failures import RunFailed
from engine.probe import probe
from engine.storage import sha256_of, sync_file
from engine.types.limits import Limits
from engine.types.media import MediaInfo
from engine.types.plan import Expectation, ExpectedStream, OutputPlan
from engine.types.results import Artifact
from engine.verify import verify
from engine.whitelist import RESULTS

# Other encoders pad sound and round frames in their own ways.
_TOLERANCE_SECONDS = 1.0
_TOLERANCE = 0.02


class Claimed(NamedTuple):
    """What a result is said to be. `container` and `size` (coded pixels) only where that is known.

    `duration` is the source's, in seconds; `role` what the output will be called.
    """

    role: str
    container: str | None
    size: tuple[int, int] | None
    duration: float


def adopt(path: Path, claimed: Claimed, *, limits: Limits, control: Control, sha256: str = "") -> Artifact:
    """The file as a verified result. It stays where it is and is brought to the disk. `sha256` where its
    checksum is known already.

    Raises RunFailed("output_invalid") with what is wrong, the problems of a probe, and Stopped.
    """
    media, output = _expected(path, claimed, limits, control)
    verified = verify(path, output, limits=limits, control=control, probed=media)
    sync_file(path)
    return Artifact(
        role=claimed.role,
        path=path,
        extension=output.extension,
        content_type=output.content_type,
        size=path.stat().st_size,
        sha256=sha256 or sha256_of(path, control=control),
        media_info=verified.media,
        verification=verified.verification,
    )


def examine(path: Path, claimed: Claimed, *, limits: Limits, control: Control) -> MediaInfo:
    """`adopt` without a checksum and without touching the disk. Raises the same."""
    media, output = _expected(path, claimed, limits, control)
    return verify(path, output, limits=limits, control=control, probed=media).media


def _expected(path: Path, claimed: Claimed, limits: Limits, control: Control) -> tuple[MediaInfo, OutputPlan]:
    """What the file holds, and what it should be."""
    if not path.stat().st_size:
        raise RunFailed("output_invalid", reason="the file is empty.")
    media = probe(path, reading=RESULTS, limits=limits, control=control).media
    known = {**VIDEO_CONTAINERS, **AUDIO_CONTAINERS}.get(claimed.container or media.container)
    if known is None:
        raise RunFailed("output_invalid", reason=f"a {media.container} file was not expected.")
    picture = media.main_video
    if known.name in VIDEO_CONTAINERS and picture is None:
        raise RunFailed("output_invalid", reason="it has no picture.")
    if claimed.size is not None and picture is not None and (picture.width, picture.height) != claimed.size:
        wanted = "x".join(map(str, claimed.size))
        reason = f"the picture is {picture.width}x{picture.height} and should be {wanted}."
        raise RunFailed("output_invalid", reason=reason)
    return media, OutputPlan(
        role=claimed.role,
        container=known.name,
        extension=known.extension,
        content_type=known.content_type,
        expectation=Expectation(
            container=known.name,
            streams=_streams(media),
            duration=claimed.duration,
            duration_tolerance=max(_TOLERANCE_SECONDS, _TOLERANCE * claimed.duration),
        ),
    )


def _streams(media: MediaInfo) -> tuple[ExpectedStream, ...]:
    return (
        *(
            ExpectedStream(
                kind="video",
                codec=stream.codec,
                width=stream.display_width,
                height=stream.display_height,
                copied=True,
            )
            for stream in media.video
        ),
        *(ExpectedStream(kind="audio", codec=stream.codec, copied=True) for stream in media.audio),
        *(ExpectedStream(kind="subtitle", codec=stream.codec, copied=True) for stream in media.subtitles),
    )
