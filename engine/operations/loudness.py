"""loudness: sound brought to a loudness, measured first and changed in a second pass (EBU R128)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine import loudness
from engine.assembly import carried_out, expecting, video_plan
from engine.containers import VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import Parameters
from engine.plan import main_video, video_copied, video_encoded, video_obstacle
from engine.tracks import audio_parts
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from engine.types.recipes import Filter
from problems import Problem

_HIGHEST_RATE = 48_000


class LoudnessParameters(Parameters):
    """The whole track is made louder or quieter by one amount, unless its peaks or its range forbid it."""

    target: Annotated[float, Field(ge=-36, le=-8)] = Field(
        default=-16.0,
        title="Loudness",
        description="In LUFS: -23 for broadcasting (EBU R128), -16 for the web and podcasts, -14 for music.",
        examples=[-16],
    )
    true_peak: Annotated[float, Field(ge=-9, le=0)] = Field(
        default=-1.0, title="Highest peak", description="In dBTP; louder peaks are softened."
    )
    range: Annotated[float, Field(ge=1, le=50)] = Field(
        default=20.0,
        title="Loudness range",
        description="In LU; a track with a wider range between soft and loud is evened out.",
    )


def _plan(parameters: LoudnessParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    if not media.audio:
        raise Problem("no_audio_stream")
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    obstacle = video_obstacle(media, stream, container)
    if obstacle is None:
        picture = video_copied(media, stream, container)
    else:
        picture = video_encoded(media, stream, container, why=f"Encoded because {obstacle}")
    rates = [track.sample_rate for track in media.audio if track.sample_rate]
    filters = (
        Filter(
            name=loudness.FILTER,
            options={"I": parameters.target, "TP": parameters.true_peak, "LRA": parameters.range},
        ),
        # Where it has to soften peaks the filter works at four times the usual rate, and stays there.
        Filter(name="aresample", options={"sample_rate": min([_HIGHEST_RATE, *rates])}),
    )
    plan = video_plan(
        "loudness",
        media,
        container,
        picture,
        summary=f"Sound to {parameters.target:g} LUFS with peaks up to {parameters.true_peak:g} dBTP.",
        audio=audio_parts(
            media,
            container,
            why=f"Measured first, then encoded at {parameters.target:g} LUFS.",
            filters=filters,
        ),
    )
    return carried_out(
        expecting(plan, loudness=parameters.target, true_peak=parameters.true_peak), "loudness"
    )


OPERATION = OperationType(
    type="loudness",
    title="Loudness",
    description="Bring the sound to an even, usual loudness.",
    icon="volume-2",
    Parameters=LoudnessParameters,
    plan=_plan,
)
