"""Lists of the admin: nothing is counted, no query depends on the number of rows, and paging misses none."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import Job
from tests.videos.cast import output_of, ready_video
from users.models import User
from users.services import token_create
from videos import storage
from videos.models import Asset, Operation, Output, Preset, Upload, Video
from videos.services.uploads import upload_create

pytestmark = pytest.mark.django_db

BIG = [
    "users/user", "users/apitoken", "usersessions/usersession", "videos/video", "videos/upload",
    "videos/operation", "videos/output", "videos/asset", "videos/preset", "jobs/job", "admin/logentry",
]  # fmt: skip


def job_make(video: Video, **fields: Any) -> Job:
    fields.setdefault("status", "failed")
    if fields["status"] == "failed":
        fields |= {"error_code": "worker_lost", "finished_at": timezone.now()}
    return Job.objects.create(owner=video.owner, video=video, type="resize", **fields)


@pytest.fixture
def video(alice: User, tmp_path: Path) -> Video:
    made = ready_video(alice)
    output_of(made, tmp_path)
    upload_create(owner=alice, length=10, filename="half.mp4")
    token_create(user=alice, name="script")
    job_make(made)
    return made


def more(video: Video, number: int) -> None:
    for n in range(number):
        user = User.objects.create_user(f"more{n}", f"more{n}@example.org")
        other = Video.objects.create(owner=user, name=f"More {n}", size=1)
        operation = Operation.objects.create(video=other, type="resize", parameters={}, fingerprint="")
        Output.objects.create(operation=operation, role="video", size=1, verification={})
        Upload.objects.create(owner=user, expires_at=timezone.now() + timedelta(days=1))
        token_create(user=user, name="script")
        Asset.objects.create(owner=user, kind="picture", filename="x", size=1, media_info={})
        Preset.objects.create(owner=user, name=f"More {n}", type="mute")
        job_make(other)


def shown(client: Client, path: str) -> list[str]:
    return [row.pk for row in client.get(path).context["cl"].result_list]


@pytest.mark.parametrize("place", BIG)
def test_nothing_is_counted_and_queries_do_not_grow(root: Client, video: Video, place: str) -> None:
    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as caught:
            page = root.get(f"/admin/{place}/?q=more" if place != "admin/logentry" else f"/admin/{place}/")
            assert page.status_code == 200
            assert root.get(f"/admin/{place}/").status_code == 200
        return [query["sql"] for query in caught.captured_queries]

    queries()
    before = queries()
    more(video, 4)
    after = queries()
    # A filter that offers the values a column has would have to read all of it.
    assert not [sql for sql in after if "COUNT(" in sql or "DISTINCT" in sql]
    assert len(after) <= len(before) + 2, "a search that finds nobody may save queries"


def test_paging_forth_and_back_shows_each_row_once(
    root: Client, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin.site.get_model_admin(Job), "list_per_page", 3)
    jobs = [job_make(video).pk for _ in range(7)]
    everything = sorted([*jobs, Job.objects.earliest("id").pk], reverse=True)

    address, seen = "", []
    while address is not None:
        page = root.get(f"/admin/jobs/job/{address}").context["cl"]
        seen.append([job.pk for job in page.result_list])
        last, address = page, page.older
    assert [len(rows) for rows in seen] == [3, 3, 2]
    assert [pk for rows in seen for pk in rows] == everything

    page = root.get(f"/admin/jobs/job/{last.newer}").context["cl"]
    assert [job.pk for job in page.result_list] == seen[1]
    page = root.get(f"/admin/jobs/job/{page.newer}").context["cl"]
    assert [job.pk for job in page.result_list] == seen[0]
    assert page.newer is None
    assert "3 shown" in root.get("/admin/jobs/job/").content.decode()


@pytest.mark.parametrize(
    "query",
    ["before=nonsense", "error_message__icontains=x", "log__contains=x", "owner=x", "owner__password=x"],
)
def test_addresses_that_no_index_serves_are_refused(root: Client, video: Video, query: str) -> None:
    answer = root.get(f"/admin/jobs/job/?{query}")
    assert answer.status_code in {302, 400}


def test_other_orders_are_not_taken(root: Client, video: Video) -> None:
    jobs = [job_make(video).pk for _ in range(2)]
    assert shown(root, "/admin/jobs/job/?o=3")[:2] == jobs[::-1]


def test_jobs_are_found_by_name_and_by_filter(root: Client, video: Video, bob: User) -> None:
    job = Job.objects.get()
    other = Video.objects.create(owner=bob, name="Other film", size=1)
    waiting = job_make(other, status="queued", error_code="")
    for query, found in {
        "q=oth": [waiting.pk],
        "q=BOB": [waiting.pk],
        "q=bob@example.org": [waiting.pk],
        "q=film": [],
        f"q={video.pk}": [job.pk],
        f"owner={bob.pk}": [waiting.pk],
        f"video={video.pk}": [job.pk],
        "status__exact=queued": [waiting.pk],
        "error=worker_lost": [job.pk],
        "error=disk_full": [],
        "type=gif": [],
        "q=%00": [waiting.pk, job.pk],
    }.items():
        assert shown(root, f"/admin/jobs/job/?{query}") == found, query


def test_rows_without_their_file_are_found(
    root: Client, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output.objects.get()
    for place in ("videos/video", "videos/output", "videos/upload"):
        assert shown(root, f"/admin/{place}/?file=missing") == []
    assert "1 looked through" in root.get("/admin/videos/video/?file=missing").content.decode()
    storage.video_discard(video.pk)
    storage.output_discard(output.pk)
    storage.upload_discard(Upload.objects.get(video=None).pk)
    assert shown(root, "/admin/videos/video/?file=missing") == [video.pk]
    assert shown(root, "/admin/videos/output/?file=missing") == [output.pk]
    assert len(shown(root, "/admin/videos/upload/?file=missing")) == 1

    # A page that is full ends there, and the next one goes on.
    monkeypatch.setattr(admin.site.get_model_admin(Video), "list_per_page", 2)
    others = [Video.objects.create(owner=video.owner, name="x", size=1).pk for _ in range(2)]
    page = root.get("/admin/videos/video/?file=missing").context["cl"]
    assert [row.pk for row in page.result_list] == others[::-1]
    assert shown(root, f"/admin/videos/video/{page.older}") == [video.pk]
