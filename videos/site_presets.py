"""The presets that a new site has. An administrator may change and delete them afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.db import transaction

from engine import catalogue
from videos.models import Preset, ShippedPreset


@dataclass(frozen=True, slots=True)
class _Shipped:
    name: str
    description: str
    purpose: Preset.Purpose
    type: str
    parameters: Mapping[str, Any]


def _step(type_: str, **parameters: Any) -> dict[str, Any]:
    return {"type": type_, "parameters": parameters}


_PLAYS_EVERYWHERE = _step("convert", format="mp4", video_codec="h264", audio_codec="aac")

# By keys that never change: they are how a site knows that it had one before.
SHIPPED: Mapping[str, _Shipped] = {
    "web-1080p": _Shipped(
        "Web 1080p",
        "MP4 with H.264 and AAC, at most 1080p. Plays in every browser, and begins at once.",
        Preset.Purpose.WATCHING,
        "pipeline",
        {"steps": [_step("resize", short_side=1080), _PLAYS_EVERYWHERE]},
    ),
    "phone-720p": _Shipped(
        "Phone 720p",
        "A small MP4 for phones and tablets, at most 720p and 30 frames per second.",
        Preset.Purpose.WATCHING,
        "pipeline",
        {
            "steps": [
                _step("resize", short_side=720),
                _step("convert", format="mp4", video_codec="h264", audio_codec="aac", fps=30, channels=2),
            ]
        },
    ),
    "email-25mb": _Shipped(
        "Email under 25 MB",
        "As good as it gets in 24 MB, so that it passes as an attachment.",
        Preset.Purpose.SHARING,
        "compress",
        {"target_size": "24 MB"},
    ),
    "gif-preview": _Shipped(
        "GIF preview",
        "The first five seconds as a moving picture.",
        Preset.Purpose.SHARING,
        "gif",
        {"duration": 5, "width": 480},
    ),
    "podcast-mp3": _Shipped(
        "Podcast MP3",
        "The sound alone, at the even loudness that podcasts have, 128 kbit/s.",
        Preset.Purpose.LISTENING,
        "pipeline",
        {"steps": [_step("loudness", target=-16), _step("extract_audio", format="mp3", bitrate=128)]},
    ),
    "archive": _Shipped(
        "Archive",
        "H.265 of high quality in MKV: much smaller, and hard to tell from the original.",
        Preset.Purpose.KEEPING,
        "convert",
        {"format": "mkv", "video_codec": "hevc", "quality": "high", "preset": "slow"},
    ),
    "streaming": _Shipped(
        "Streaming",
        "An HLS stream in several sizes that follows the viewer's line.",
        Preset.Purpose.STREAMING,
        "hls",
        {},
    ),
}


def presets_ensure(*, using: str = "default") -> None:
    """Make those that were never made here. What an administrator changed or deleted stays so."""
    had = set(ShippedPreset.objects.using(using).values_list("key", flat=True))
    fresh = {key: shipped for key, shipped in SHIPPED.items() if key not in had}
    places = {key: 10 * place for place, key in enumerate(SHIPPED, 1)}
    made = [
        Preset(
            name=shipped.name,
            description=shipped.description,
            purpose=shipped.purpose,
            position=places[key],
            type=shipped.type,
            parameters=catalogue.normalised(catalogue.parameters_for(shipped.type, shipped.parameters)),
        )
        for key, shipped in fresh.items()
    ]
    marks = [ShippedPreset(key=key) for key in fresh]
    with transaction.atomic(using=using):
        # One of the same name, made by an administrator, stays in its place.
        Preset.objects.using(using).bulk_create(made, ignore_conflicts=True)
        ShippedPreset.objects.using(using).bulk_create(marks, ignore_conflicts=True)


def after_migrate(*, sender: AppConfig, using: str, apps: Any = None, **_: object) -> None:
    """Receiver of `post_migrate`, which also follows a `flush`."""
    # A migration back to a time before presets ends here too.
    if apps is None or "preset" in apps.all_models["videos"]:
        presets_ensure(using=using)
