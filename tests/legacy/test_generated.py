"""The generated library: imported twice, present once, every failure named, and everything usable."""

from __future__ import annotations

from collections import Counter

from jobs.models import Job
from tests.conftest import client_of
from tests.legacy.conftest import LegacyTree, Made, Outcome, Run
from tests.legacy.generated import BROKEN_SESSIONS, BROKEN_USERS, NAMES, PASSWORDS, generate
from users.models import User
from users.selectors import user_by_credentials
from videoproc.legacy.names import username_variants
from videos.models import Operation, Output, Video
from videos.storage import output_path


def named(outcome: Outcome, file: str, expected: dict[int, str]) -> None:
    """Exactly these places are broken, each with a reason that holds the words."""
    found = [finding for finding in outcome.report["findings"] if finding["level"] == "broken"]
    of_records = {
        finding["index"]: finding["reason"]
        for finding in reversed(found)
        if finding["file"] == file and finding["index"] is not None
    }
    assert {index for index in of_records if index in expected} == set(expected)
    for index, words in expected.items():
        assert of_records[index]
        assert words.lower() in of_records[index].lower(), (index, of_records[index])


def test_present_once_named_and_usable(tree: LegacyTree, made: Made, run: Run) -> None:
    broken_videos = generate(tree, made)
    first = run()
    assert first.row("users") == {"found": 7, "imported": 3, "broken": 4}
    assert first.row("sessions") == {"found": 44, "skipped": 40, "broken": 4}
    assert first.row("videos") == {"found": 22, "imported": 10, "broken": 12}
    assert first.row("audio") == {"found": 2, "imported": 2}
    assert first.row("resizes") == {"found": 2, "imported": 1, "queued": 1}
    assert first.row("conversions") == {"found": 6, "imported": 3, "queued": 3}
    named(first, "users", BROKEN_USERS)
    named(first, "sessions", BROKEN_SESSIONS)
    named(first, "videos", broken_videos)
    assert any(finding["file"] == "storage/v-orphan" for finding in first.report["findings"])

    again = run()
    assert not again.report["changed"]
    assert again.row("videos") == {"found": 22, "already here": 10, "broken": 12}
    assert (User.objects.count(), Video.objects.count(), Job.objects.count()) == (3, 10, 4)
    assert Counter(Operation.objects.values_list("status", flat=True)) == {
        "completed": 4,
        "pending": 4,
        "failed": 2,
    }

    assert set(Video.objects.values_list("name", flat=True)) <= {name.strip() for name in NAMES}
    for old, password in PASSWORDS.items():
        user = user_by_credentials(login=next(username_variants(old)), password=password)
        assert user is not None, old
        client = client_of(user)
        for video in client.get("/api/v1/videos").json()["data"]:
            answer = client.get(video["file_url"] + "?inline=1")
            assert answer["X-Accel-Redirect"] == f"/videos/{video['id']}/source"
            assert answer["Content-Type"].startswith("video/")
    assert all(output_path(output.id).stat().st_size == output.size for output in Output.objects.all())
