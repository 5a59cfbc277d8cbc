"""Which files today's browsers play by themselves."""

from __future__ import annotations

from engine.types.media import MediaInfo

_PICTURE = {
    "mp4": frozenset({"h264", "av1", "vp9"}),
    "mov": frozenset({"h264"}),
    "webm": frozenset({"vp8", "vp9", "av1"}),
}
_SOUND = {
    "mp4": frozenset({"aac", "mp3", "opus", "flac"}),
    "mov": frozenset({"aac", "mp3"}),
    "webm": frozenset({"vorbis", "opus"}),
}
_SOUND_FILES = frozenset({"mp3", "m4a", "wav", "ogg", "flac", "aac"})
# Browsers decode H.264 with 8 bits and 4:2:0 only.
_H264_PIXELS = frozenset({None, "yuv420p", "yuvj420p"})


def browser_plays(media: MediaInfo) -> bool:
    """Whether common browsers show the picture with its sound, or play the sound file."""
    picture, sound = media.main_video, media.main_audio
    if picture is None:
        return media.container in _SOUND_FILES and sound is not None
    if picture.codec not in _PICTURE.get(media.container, ()):
        return False
    if picture.codec == "h264" and picture.pixel_format not in _H264_PIXELS:
        return False
    return sound is None or sound.codec in _SOUND.get(media.container, ())


def why_not(media: MediaInfo) -> str:
    """What stands in the way, as one sentence for a person."""
    picture = media.main_video
    if media.container not in _PICTURE:
        return f"Browsers do not play {media.container.upper()} files."
    if picture is not None and picture.codec not in _PICTURE[media.container]:
        return f"Browsers do not play {picture.codec.upper()} pictures in {media.container.upper()} files."
    if picture is not None and picture.codec == "h264" and picture.pixel_format not in _H264_PIXELS:
        return f"Browsers do not play H.264 with {picture.pixel_format} pixels."
    return "Browsers do not play this kind of sound."
