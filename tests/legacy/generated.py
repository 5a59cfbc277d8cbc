"""A library with everything that goes wrong in years of use, beside the genuine one.

Three people, dozens of sessions, a video in each state the original knew, and records and files that are
broken in every way that was ever seen. `EXPECTED` says how each file's records end.
"""

from __future__ import annotations

import json
from typing import Any

from tests.legacy.conftest import LegacyTree, Made, film, person

PASSWORDS = {"anna": "пароль-ünï", "bert.b": "x", "Zoë Müller": "correct horse battery"}
DONE = {"processing": False, "completed": True}
# What each of the videos below that are good is called here.
NAMES = {"Ferien", "Ferien ", "日本の夏 🎆", "café", "same", "audio only once", "upper", "waiting", "gave up"}
BROKEN_USERS = {3: "username", 4: "same number and name", 5: "object", 6: "not readable"}
BROKEN_SESSIONS = {40: "user 99", 41: "token", 42: "userId", 43: "object"}


def generate(tree: LegacyTree, made: Made) -> dict[int, str]:
    """Write it; returns what is wrong with the broken videos, by their place."""
    _users(tree)
    sessions: list[Any] = [{"userId": 1 + n % 3, "token": str(10**9 + n)} for n in range(40)]
    sessions += [{"userId": 99, "token": "1"}, {"userId": 1}, {"token": "2"}, "gone"]
    tree.write("sessions", sessions)
    good = _good_videos(tree, made)
    broken = _broken_videos(tree, made)
    records = [*good, *(record for record, _ in broken)]
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    tree.write("videos", "[" + ",\n".join(lines) + "]")
    return {len(good) + place: reason for place, (_, reason) in enumerate(broken)}


def _users(tree: LegacyTree) -> None:
    people = [person(number, name, PASSWORDS[name]) for number, name in enumerate(PASSWORDS, 1)]
    records = [json.dumps(record) for record in people]
    records += [
        json.dumps({"id": 4, "password": "x"}),
        json.dumps(people[0]),
        "[1]",
        '{"id": 5, "usern: oops}',
    ]
    tree.write("users", "\n".join(records))  # JSON lines are read too


def _good_videos(tree: LegacyTree, made: Made) -> list[dict[str, Any]]:
    tree.put("v-all", original_mp4=made.source, audio_aac=made.aac, x160x90_mp4=made.resized)
    tree.put("v-all", converted_mov=made.mov, converted_webm=made.webm.read_bytes()[:900])
    tree.put("v-upper", original_mov=made.silent)
    tree.put("v-audio", original_mp4=made.source, audio_aac=made.aac)
    for name in ("v-space", "v-summer", "v-mangled", "v-same1", "v-same2", "v-wait", "v-failed"):
        tree.put(name, original_mp4=made.silent)
    return [
        film(
            "v-all",
            name="Ferien",
            extractedAudio=True,
            resizes={"160x90": {"processing": False}, "200x112": {"processing": True}},
            conversions={
                "mov": DONE,
                "webm": DONE,
                "mkv": {"status": "failed", "error": "disk"},
                "avi": DONE,
            },
        ),
        film("v-space", user_id=2, name="Ferien "),
        film("v-summer", user_id=3, name="日本の夏 🎆"),
        film("v-mangled", user_id=3, name="cafÃ©"),
        film("v-same1", name="same"),
        film("v-same2", name="same"),
        film("v-audio", user_id=2, name="audio only once", extractedAudio=True),
        film("v-upper", name="upper", extension="MOV"),
        film("v-wait", user_id=2, name="waiting", conversions={"flv": {"status": "processing"}}),
        film("v-failed", user_id=2, name="gave up", conversions={"avi": {"error": {"message": "no"}}}),
    ]


def _broken_videos(tree: LegacyTree, made: Made) -> list[tuple[Any, str]]:
    tree.put("v-nobody", original_mp4=made.silent)
    tree.put("v-empty", original_mp4=b"")
    tree.put("v-text", original_mp4=b"<html>not a video</html>")
    tree.put("v-cut", original_mp4=made.source.read_bytes()[:20_000])
    tree.put("v-exe", original_mp4=made.silent)
    tree.put("v-orphan", original_mp4=made.silent)
    return [
        (film("v-nobody", user_id=77), "user 77"),
        (film("v-nothing"), "not in the storage"),
        (film("v-empty"), "no bytes"),
        (film("v-text"), "video"),
        (film("v-cut"), ""),
        (film("v-exe", extension="../exe"), "extension"),
        (film("../../etc"), "videoId"),
        (film("v-all"), "same videoId as record 0"),
        ({"name": "no number"}, "videoId"),
        (["v-list"], "object"),
        (None, "object"),
        ('{"videoId": "v-torn", "name": "torn', "not readable"),
    ]
