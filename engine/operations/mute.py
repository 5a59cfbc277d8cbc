"""mute: the same video without sound."""

from __future__ import annotations

from engine.assembly import video_plan
from engine.containers import VIDEO_CONTAINERS
from engine.operation import OperationType
from engine.parameters import Parameters
from engine.plan import main_video, video_copied, video_encoded, video_obstacle
from engine.tracks import dropped_sound
from engine.types.media import MediaInfo
from engine.types.plan import Plan
from problems import Problem


class MuteParameters(Parameters):
    """There is nothing to choose."""


def _plan(_parameters: MuteParameters, media: MediaInfo) -> Plan:
    stream = main_video(media)
    if not media.audio:
        raise Problem("no_audio_stream")
    container = VIDEO_CONTAINERS.get(media.container, VIDEO_CONTAINERS["mp4"])
    obstacle = video_obstacle(media, stream, container)
    if obstacle is None:
        picture = video_copied(media, stream, container)
        way = "the picture is copied without loss"
    else:
        picture = video_encoded(media, stream, container, why=f"Encoded because {obstacle}")
        way = "the picture is encoded"
    silent = [dropped_sound(track, "The sound is taken out, as asked.") for track in media.audio]
    return video_plan("mute", media, container, picture, summary=f"Without sound; {way}.", audio=([], silent))


OPERATION = OperationType(
    type="mute",
    title="Mute",
    description="Make a copy without sound.",
    icon="volume-x",
    Parameters=MuteParameters,
    plan=_plan,
)
