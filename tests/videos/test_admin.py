"""The admin of accounts and videos: every page opens, actions do what they say, nobody else gets in."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from tests.conftest import PASSWORD
from tests.videos.cast import output_of, ready_video
from users.models import ApiToken, User
from users.services import token_create
from videos.models import Upload, Video
from videos.services.uploads import upload_create

pytestmark = pytest.mark.django_db
LISTS = [
    "users/user", "users/tier", "users/apitoken", "usersessions/usersession",
    "videos/video", "videos/upload", "videos/operation", "videos/output",
]  # fmt: skip


@pytest.fixture
def staff(carol: User) -> Client:
    client = Client()
    client.login(username="carol", password=PASSWORD)
    return client


@pytest.fixture
def video(alice: User, tmp_path: Path) -> Video:
    made = ready_video(alice)
    output_of(made, tmp_path)
    upload_create(owner=alice, length=10, filename="half.mp4")
    token_create(user=alice, name="script")
    return made


@pytest.mark.parametrize("place", LISTS)
def test_lists_and_searches(staff: Client, video: Video, place: str) -> None:
    staff.get("/admin/")
    page = staff.get(f"/admin/{place}/")
    assert page.status_code == 200
    assert page.context["cl"].result_count > 0
    assert staff.get(f"/admin/{place}/?q=a").status_code == 200


def test_an_id_finds_what_it_names(staff: Client, video: Video, alice: User) -> None:
    operation = video.operations.get()
    for place, term, count in (
        ("videos/video", video.pk, 1),
        ("videos/video", alice.pk, 1),
        ("videos/operation", operation.pk, 1),
        ("videos/operation", video.pk, 1),
        ("videos/output", operation.pk, 1),
        ("videos/output", "job_" + "0" * 32, 0),
        ("users/user", alice.pk, 1),
    ):
        assert staff.get(f"/admin/{place}/?q={term}").context["cl"].result_count == count, (place, term)


def test_rows_open_and_the_machines_fields_are_closed(staff: Client, video: Video, alice: User) -> None:
    page = staff.get(f"/admin/videos/video/{video.pk}/change/")
    assert page.status_code == 200
    assert list(page.context["adminform"].form.fields) == ["name"]
    for path in (
        f"videos/operation/{video.operations.get().pk}",
        f"videos/output/{video.operations.get().outputs.get().pk}",
        f"videos/upload/{Upload.objects.filter(video=None).get().pk}",
        f"users/user/{alice.pk}",
        f"users/apitoken/{ApiToken.objects.get().pk}",
        "users/tier/free",
    ):
        assert staff.get(f"/admin/{path}/change/").status_code == 200, path
    assert staff.get("/admin/videos/video/add/").status_code == 403


def test_trash_and_restore(staff: Client, video: Video) -> None:
    body = {"action": "trash", "_selected_action": [video.pk]}
    assert staff.post("/admin/videos/video/", body).status_code == 302
    assert Video.objects.get().deleted_at is not None
    staff.post("/admin/videos/video/", {**body, "action": "restore"})
    assert Video.objects.get().deleted_at is None


def test_discard_revoke_and_sign_out(staff: Client, video: Video, alice: User) -> None:
    unfinished = Upload.objects.get(video=None)
    staff.post("/admin/videos/upload/", {"action": "discard", "_selected_action": [unfinished.pk]})
    assert not Upload.objects.filter(video=None).exists()

    token = ApiToken.objects.get()
    staff.post("/admin/users/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})
    assert not ApiToken.objects.exists()

    browser = Client()
    browser.login(username="alice", password=PASSWORD)
    browser.get("/admin/")
    staff.post("/admin/users/user/", {"action": "end_sessions", "_selected_action": [alice.pk]})
    assert "_auth_user_id" not in browser.session


def test_an_account_is_made_and_changed(staff: Client, alice: User) -> None:
    body = {"username": "dora", "email": "dora@example.org", "usable_password": "true"}
    made = staff.post("/admin/users/user/add/", {**body, "password1": PASSWORD, "password2": PASSWORD})
    assert made.status_code == 302
    dora = User.objects.get(username="dora")
    assert dora.check_password(PASSWORD)

    change = {"username": "dora", "email": "dora@example.org", "tier": "pro", "is_active": "on"}
    assert staff.post(f"/admin/users/user/{dora.pk}/change/", change).status_code == 302
    dora.refresh_from_db()
    assert dora.tier_id == "pro"
    taken = staff.post("/admin/users/user/add/", {**body, "password1": PASSWORD, "password2": PASSWORD})
    assert taken.status_code == 200
    assert "taken" in taken.content.decode()


def test_others_stay_outside(alice: User) -> None:
    client = Client()
    client.login(username="alice", password=PASSWORD)
    for place in LISTS:
        assert client.get(f"/admin/{place}/").status_code == 302
