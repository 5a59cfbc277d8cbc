"""The command on trees as the original left them: everything comes across once, and what cannot is named."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs.execution import lane_work
from jobs.models import Job
from jobs.services import operation_submit
from jobs.workspace import import_folder, work_root
from tests.conftest import client_of
from tests.legacy.conftest import LegacyTree, Made, Run, film, person, shape
from users.models import ApiToken, User
from users.selectors import user_by_credentials
from videoproc.legacy.models import LegacyRecord
from videos.models import Operation, Output, Video
from videos.storage import output_path, source_path, thumbnail_path

DONE = {"processing": False, "completed": True, "timestamp": "2026-03-01T10:00:00.000Z"}


def library(tree: LegacyTree, made: Made) -> None:
    """Every oddity that the original is known for, in one library of two users."""
    tree.write("users", [person(1, "liam23"), person(2, "merit.sky", "string")])
    tree.write("sessions", [{"userId": 1, "token": "8472660154"}, {"userId": 2, "token": "166339984"}])
    whole = film(
        "aaaa0001",
        name="cafÃ©",
        extractedAudio=True,
        resizes={"160x90": {"processing": False}, "301x171": {"processing": True}},
        conversions={
            "mov": DONE,
            "webm": {"status": "processing", "startedAt": 1772000000000, "finishedAt": None, "error": None},
            "mkv": {"status": "failed", "error": "no space left"},
            "avi": DONE,
        },
    )
    tree.put(
        "aaaa0001",
        original_mp4=made.source,
        thumbnail_jpg=b"not looked at",
        audio_aac=made.aac,
        x160x90_mp4=made.resized,
        converted_mov=made.mov,
        converted_webm=b"",
        converted_avi=made.mov.read_bytes()[:5000],
    )
    silent = film("aaaa0000", user_id=2, name="silent")
    del silent["resizes"]
    tree.put("aaaa0000", original_mp4=made.silent)
    tree.write("videos", [whole, silent])


def operations(video: Video) -> dict[tuple[str, Any], Operation]:
    return {
        (row.type, row.parameters.get("format") or row.parameters.get("width")): row
        for row in video.operations.all()
    }


def test_a_library_comes_across_whole(tree: LegacyTree, made: Made, run: Run, var: Path) -> None:
    library(tree, made)
    before = tree.shape()
    outcome = run()
    assert outcome.row("users") == {"found": 2, "imported": 2}
    assert outcome.row("sessions") == {"found": 2, "skipped": 2}
    assert outcome.row("videos") == {"found": 2, "imported": 2}
    assert outcome.row("audio") == {"found": 1, "imported": 1}
    assert outcome.row("resizes") == {"found": 2, "imported": 1, "queued": 1}
    assert outcome.row("conversions") == {"found": 4, "imported": 2, "queued": 2}
    assert tree.shape() == before
    assert "videos: 2 of 2" in outcome.progress
    assert "conversions" in outcome.text
    assert not list(import_scratch())

    liam = user_by_credentials(login="liam23", password="secret")
    assert liam is not None
    assert (liam.email, liam.first_name, liam.last_name) == ("liam23@legacy.invalid", "Person", "1")
    assert liam.password.startswith("bcrypt_sha256$")
    assert user_by_credentials(login="merit.sky@legacy.invalid", password="string") is not None
    assert not ApiToken.objects.exists()
    assert "guessed" in outcome.reasons("skipped", "sessions")[0]

    video = Video.objects.get(owner=liam)
    assert (video.name, video.status, video.width, video.has_thumbnail) == ("café", "ready", 320, True)
    assert source_path(video.id).read_bytes() == made.source.read_bytes()
    assert thumbnail_path(video.id).stat().st_size > 1000
    rows = operations(video)
    adopted = {("extract_audio", "aac"), ("resize", 160), ("convert", "mov")}
    assert {key for key, row in rows.items() if row.status == "completed"} == adopted
    queued = {("resize", 301), ("convert", "webm"), ("convert", "avi")}
    assert {key for key, row in rows.items() if row.status == "pending"} == queued
    assert Job.objects.filter(status=Job.Status.QUEUED).count() == 3
    failed = rows["convert", "mkv"]
    assert (failed.status, failed.error_code) == ("failed", "encoder_failed")
    assert "no space left" in failed.error_message
    audio = Output.objects.get(operation=rows["extract_audio", "aac"])
    assert (audio.filename, audio.content_type) == ("café - extract audio.aac", "audio/aac")
    assert output_path(audio.id).read_bytes() == made.aac.read_bytes()
    assert audio.size == made.aac.stat().st_size
    assert audio.verification["report"]
    assert rows["convert", "mov"].created_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert shape(Path(outcome.report["backup"])) == before


def test_what_was_made_is_found_when_it_is_asked_for(tree: LegacyTree, made: Made, run: Run) -> None:
    library(tree, made)
    run()
    video = Video.objects.get(name="café")
    before = Job.objects.count()
    for type_, parameters in (
        ("resize", {"width": 160, "height": 90}),
        ("convert", {"format": "mov"}),
        ("extract_audio", {"format": "aac"}),
        ("convert", {"format": "webm"}),
    ):
        made_already = operation_submit(
            viewer=video.owner, video_id=video.id, type=type_, parameters=parameters
        )
        assert not made_already.created
    assert Job.objects.count() == before
    again = operation_submit(
        viewer=video.owner, video_id=video.id, type="convert", parameters={"format": "mkv"}
    )
    assert again.created


def test_the_api_shows_and_serves_it(tree: LegacyTree, made: Made, run: Run) -> None:
    library(tree, made)
    run()
    liam = User.objects.get(username="liam23")
    client = client_of(liam)
    (video,) = client.get("/api/v1/videos").json()["data"]
    assert client.get(video["file_url"])["X-Accel-Redirect"] == f"/videos/{video['id']}/source"
    listed = client.get(f"/api/v1/videos/{video['id']}/operations").json()["data"]
    finished = [operation for operation in listed if operation["status"] == "completed"]
    assert len(finished) == 3
    assert all(client.get(operation["outputs"][0]["url"]).status_code == 200 for operation in finished)


def test_the_workers_finish_what_was_not(tree: LegacyTree, made: Made, run: Run) -> None:
    library(tree, made)
    run()
    while lane_work(lane="encode") or lane_work(lane="short"):
        pass
    assert set(Job.objects.values_list("status", flat=True)) == {Job.Status.COMPLETED}
    odd = operations(Video.objects.get(name="café"))["resize", 301]
    assert odd.outputs.count() == 1


def test_a_second_run_changes_nothing_and_says_so(
    tree: LegacyTree, made: Made, run: Run, media: Path, var: Path
) -> None:
    library(tree, made)
    assert run().report["changed"]
    state = (shape(media), shape(var), rows())
    again = run()
    assert (shape(media), shape(var), rows()) == state
    assert "Nothing was changed" in again.text
    assert not again.report["changed"]
    assert not again.report["backup_is_new"]
    assert again.row("users") == {"found": 2, "already here": 2}
    assert again.row("videos") == {"found": 2, "already here": 2}
    assert again.row("conversions") == {"found": 4, "already here": 4}


def test_what_its_owner_changed_or_deleted_since_stays_so(tree: LegacyTree, made: Made, run: Run) -> None:
    library(tree, made)
    run()
    User.objects.filter(username="liam23").update(username="liam")
    Video.objects.get(name="silent").delete()
    state = rows()
    assert not run().report["changed"]
    assert rows() == state


def test_a_copy_of_the_tree_elsewhere_is_the_same_library(
    tree: LegacyTree, made: Made, run: Run, tmp_path: Path
) -> None:
    library(tree, made)
    run()
    state = rows()
    elsewhere = tmp_path / "moved" / "data"
    elsewhere.parent.mkdir()
    (tree.folder / "data").rename(elsewhere)
    outcome = run("--storage", str(tree.folder / "storage"), folder=elsewhere)
    assert outcome.row("videos") == {"found": 2, "already here": 2}
    assert rows() == state


def test_a_dry_run_writes_nothing_at_all(
    tree: LegacyTree, made: Made, run: Run, media: Path, var: Path
) -> None:
    library(tree, made)
    before, state = tree.shape(), rows()
    outcome = run("--dry-run")
    assert (list(media.iterdir()), list(var.iterdir())) == ([], [])
    assert (tree.shape(), rows()) == (before, state)
    assert outcome.report["dry_run"]
    assert not outcome.report["changed"]
    assert "Nothing was written" in outcome.text
    counts = outcome.report["counts"]
    assert counts == run().report["counts"]


def test_dates_and_order_are_kept(tree: LegacyTree, made: Made, run: Run) -> None:
    tree.write("users", [person(1, "ann")])
    tree.write("videos", [film("new"), film("middle"), film("old")])
    for name, day in (("new", 20), ("middle", 25), ("old", 10)):
        tree.put(name, original_mp4=made.silent)
        moment = datetime(2026, 1, day, tzinfo=UTC).timestamp()
        os.utime(tree.folder / "storage" / name / "original.mp4", (moment, moment))
    run()
    found = [(video.name, video.created_at) for video in Video.objects.order_by("-id")]
    newest = datetime(2026, 1, 20, tzinfo=UTC)
    # "middle" was touched later, but it cannot be younger than what came after it.
    assert found == [
        ("Film new", newest),
        ("Film middle", newest - timedelta(milliseconds=1)),
        ("Film old", datetime(2026, 1, 10, tzinfo=UTC)),
    ]


def test_enlarged_and_stretched_results_keep_their_meaning(tree: LegacyTree, made: Made, run: Run) -> None:
    """In the same words another file would come out today, so more is said."""
    tree.write("users", [person(1, "ann")])
    sizes = ["640x360", "640x640"]
    tree.write("videos", [film("v", resizes={size: {"processing": True} for size in sizes})])
    tree.put("v", original_mp4=made.silent)
    assert run().row("resizes") == {"found": 2, "queued": 2}
    said = itemgetter("width", "height", "fit", "upscale")
    wishes = [said(row.parameters) for row in Operation.objects.order_by("id")]
    assert wishes == [
        (640, 360, "contain", True),
        (640, 640, "stretch", True),
    ]


@pytest.mark.parametrize("missing", ["all", "users", "storage"])
def test_a_folder_that_is_no_legacy_tree_is_refused(
    tree: LegacyTree, transactional_db: None, tmp_path: Path, missing: str
) -> None:
    folder = tree.folder
    if missing == "all":
        folder = tmp_path / "nowhere"
    elif missing == "users":
        (folder / "data" / "users").unlink()
    else:
        (folder / "storage").rmdir()
    with pytest.raises(CommandError):
        call_command("import_legacy", str(folder))


def test_two_imports_at_once_are_refused(tree: LegacyTree, run: Run) -> None:
    with import_folder(), pytest.raises(CommandError, match="Another import"):
        run()


def import_scratch() -> list[Path]:
    folder = work_root() / "import"
    return list(folder.iterdir()) if folder.is_dir() else []


def rows() -> list[Any]:
    """Everything the import may write, as it is now."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (User, Video, Operation, Output, Job, ApiToken, LegacyRecord)
    ]
