"""A run can be taken back: what it made goes, what somebody changed stays and is named."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.test import Client

from jobs.execution import lane_work
from jobs.models import Job, Step
from jobs.services import job_retry, operation_submit
from jobs.steering import job_cancel
from tests.legacy.conftest import LegacyTree, Made, Run, film, person, shape
from users.models import User
from users.services import token_create
from videoproc.legacy.models import LegacyRecord
from videos.models import Operation, Output, Video
from videos.services.videos import video_rename, video_trash


@pytest.fixture
def library(tree: LegacyTree, made: Made) -> LegacyTree:
    tree.write("users", [person(1, "ann"), person(2, "ben"), person(3, "eve")])
    done, waits = {"mov": {"completed": True}}, {"avi": {"processing": True}}
    tree.write(
        "videos",
        [film("a1", 1, conversions={**done, **waits}), film("a2", 1), film("b1", 2, conversions=waits)],
    )
    tree.put("a1", original_mp4=made.source, converted_mov=made.mov)
    for name in ("a2", "b1"):
        tree.put(name, original_mp4=made.silent)
    return tree


def undo(run: str, *words: str, folder: Path) -> dict[str, Any]:
    report = folder / "undone.json"
    call_command(
        "import_legacy", "--undo", run, "--report", str(report), *words, stdout=StringIO(), stderr=StringIO()
    )
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def rows() -> list[int]:
    return [model.objects.count() for model in (User, Video, Operation, Output, Job, Step, LegacyRecord)]


def test_all_of_it_goes_and_can_come_again(
    library: LegacyTree, run: Run, media: Path, tmp_path: Path
) -> None:
    first = run().report["run"]
    before, files = rows(), shape(media)
    while lane_work(lane="short"):  # the work that the import queued is part of it
        pass
    Client().login(username="ann", password="secret")
    dry = undo(first, "--dry-run", folder=tmp_path)
    assert rows()[:2] == before[:2]
    wet = undo(first, folder=tmp_path)
    assert rows() == [0] * 7
    assert not any(path.is_file() for path in media.rglob("*"))
    assert wet["kept"] == dry["kept"] == []
    assert wet["removed"] == dry["removed"]
    assert (wet["removed"]["users"], wet["removed"]["videos"]) == (3, 3)
    with pytest.raises(CommandError, match="Nothing is left"):
        undo(first, folder=tmp_path)
    run()
    assert rows() == before
    assert len(shape(media)) == len(files)


def test_what_was_changed_since_stays_and_is_named(
    library: LegacyTree, run: Run, media: Path, tmp_path: Path
) -> None:
    first = run().report["run"]
    ann, ben, eve = User.objects.order_by("username")
    a1, a2 = Video.objects.get(name="Film a1"), Video.objects.get(name="Film a2")
    operation_submit(viewer=ann, video_id=a1.id, type="resize", parameters={"width": 100})
    token_create(user=eve, name="script")
    state = shape(media / "videos" / a1.id)
    dry = undo(first, "--dry-run", folder=tmp_path)
    wet = undo(first, folder=tmp_path)
    assert dry["kept"] == wet["kept"]
    reasons = {kept["id"]: kept["reason"] for kept in wet["kept"]}
    assert set(reasons) == {a1.id, ann.id, eve.id}
    assert "asked for since" in reasons[a1.id]
    assert "video" in reasons[ann.id].lower()
    assert "token" in reasons[eve.id].lower()
    assert wet["removed"]["videos"] == 2
    assert not User.objects.filter(id=ben.id).exists()
    assert not Video.objects.filter(id=a2.id).exists()
    assert shape(media / "videos" / a1.id) == state
    assert Output.objects.count() == 1
    out = StringIO()
    call_command("import_legacy", "--runs", stdout=out)
    assert f"{first}" in out.getvalue()
    assert "users: 2  videos: 1" in out.getvalue()


def test_each_way_of_changing_counts(library: LegacyTree, run: Run, tmp_path: Path) -> None:
    first = run().report["run"]
    ann, ben, eve = User.objects.order_by("username")
    video_rename(video=Video.objects.get(name="Film a1"), name="mine")
    video_trash(video=Video.objects.get(name="Film a2"))
    queued = Job.objects.get(video__name="Film b1")
    job_cancel(viewer=ben, job_id=queued.id)
    job_retry(viewer=ben, job_id=queued.id)
    eve.first_name = "Eva"
    eve.save()
    kept = {kept["label"]: kept["reason"] for kept in undo(first, folder=tmp_path)["kept"]}
    assert len(kept) == 6
    assert kept["3 eve"].startswith("was changed on")
    assert kept["a2 'Film a2'"] == "is in the trash"
    ann.videos.all().delete()
    LegacyRecord.objects.filter(object_id=eve.id).update(made=None)
    Video.objects.update(owner=F("owner"))
    kept = {kept["label"]: kept["reason"] for kept in undo(first, folder=tmp_path)["kept"]}
    assert "deleted here since" in kept["a1 'Film a1'"]
    assert "did not note" in kept["3 eve"]
    assert "1 ann" not in kept


@pytest.mark.parametrize("words", [[], ["--runs", "--undo", "x"], ["folder", "--runs"]])
def test_one_thing_at_a_time(words: list[str]) -> None:
    with pytest.raises(CommandError, match="Name a folder"):
        call_command("import_legacy", *words)
