"""What each group of staff may do, and what not, tried at the pages themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client

from jobs.models import Job, Limit, SiteSettings
from tests.admin.test_lists import job_make
from tests.conftest import PASSWORD
from users.models import User
from users.services import token_create
from videoproc.roles import OPERATOR, ROLES, SUPPORT
from videos.models import Video

pytestmark = pytest.mark.django_db
Staff = Callable[[str], Client]


def rights(group: str) -> set[str]:
    found = Permission.objects.filter(group__name=group).select_related("content_type")
    return {f"{right.content_type.app_label}.{right.codename}" for right in found}


@pytest.fixture
def failed(alice: User) -> Job:
    return job_make(Video.objects.create(owner=alice, name="Holiday", size=1))


def act(client: Client, place: str, action: str, row: str, **more: str) -> str:
    body = {"action": action, "_selected_action": row, **more}
    return client.post(f"/admin/{place}/", body, follow=True).content.decode()


@pytest.mark.parametrize("group", list(ROLES))
def test_the_groups_have_exactly_their_rights(db: None, group: str) -> None:
    assert rights(group) == ROLES[group]
    Group.objects.get(name=group).permissions.add(Permission.objects.get(codename="delete_group"))
    call_command("migrate", verbosity=0)
    assert rights(group) == ROLES[group]


def test_what_the_groups_must_never_have() -> None:
    assert SUPPORT < OPERATOR
    assert not [right for right in SUPPORT if "delete" in right or "change" in right or "add" in right]
    for right in ("auth.", "superuser", "account."):
        assert not [name for name in OPERATOR if right in name]


PAGES = {
    "": (200, 200),
    "jobs/job/": (200, 200),
    "videos/video/": (200, 200),
    "videos/preset/": (200, 200),
    "videos/preset/add/": (403, 200),
    "users/user/": (200, 200),
    "users/user/add/": (403, 200),
    "users/tier/free/change/": (200, 200),
    "jobs/sitesettings/1/change/": (403, 200),
    "jobs/limit/add/": (403, 200),
    "admin/logentry/": (403, 200),
    "auth/group/": (403, 403),
    "account/emailaddress/": (403, 403),
}


@pytest.mark.parametrize("group", list(ROLES))
def test_pages(staff: Staff, group: str) -> None:
    browser = staff(group)
    for place, statuses in PAGES.items():
        assert browser.get(f"/admin/{place}").status_code == statuses[list(ROLES).index(group)], place


def test_support_retries_and_cancels_and_no_more(staff: Staff, failed: Job, alice: User) -> None:
    support = staff("Support")
    page = support.get(f"/admin/jobs/job/{quote(failed.pk)}/change/").content.decode()
    assert "Retry this job in the short lane" in page
    assert "worker" in page
    waiting = job_make(Video.objects.get(), status="queued")
    page = support.get(f"/admin/jobs/job/{waiting.pk}/change/").content.decode()
    assert "Cancel this job" in page
    assert "Pause this job" not in page
    act(support, "jobs/job", "pause_selected", waiting.pk)
    act(support, "jobs/job", "priority_high", waiting.pk)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.priority) == ("queued", 5)
    act(support, "jobs/job", "cancel_selected", waiting.pk)
    waiting.refresh_from_db()
    assert waiting.status == "cancelled"
    act(support, "users/user", "suspend", alice.pk)
    alice.refresh_from_db()
    assert alice.is_active


def test_an_operator_cannot_become_more(staff: Staff, carol: User, alice: User) -> None:
    operator = staff("Operator")
    me = User.objects.get(username="operator")
    body = {"username": "alice", "email": "alice@example.org", "tier": "pro", "is_superuser": "on"}
    rise = {"is_staff": "on", "groups": [str(Group.objects.get(name="Operator").pk)], **body}
    assert operator.post(f"/admin/users/user/{alice.pk}/change/", rise).status_code == 302
    alice.refresh_from_db()
    assert (alice.tier_id, alice.is_staff, alice.is_superuser) == ("pro", False, False)
    assert not alice.groups.exists()

    for staff_member in (carol, me):
        page = operator.get(f"/admin/users/user/{staff_member.pk}/change/")
        assert list(page.context["adminform"].form.fields) == ["password"], "which shows and changes nothing"
        assert operator.post(f"/admin/users/user/{staff_member.pk}/change/", rise).status_code == 403
        password = f"/admin/users/user/{staff_member.pk}/password/"
        assert operator.get(password).status_code == 403
        assert operator.get(f"/admin/users/user/{staff_member.pk}/delete/").status_code == 403
        text = act(operator, "users/user", "suspend", staff_member.pk)
        assert "1 skipped: Your account may not do this." in text
        staff_member.refresh_from_db()
        assert staff_member.is_active


def test_limits_of_ones_own_need_a_reason(root: Client, alice: User) -> None:
    body = {
        "username": "alice",
        "email": "alice@example.org",
        "tier": "free",
        "concurrent_jobs_override": "9",
    }
    page = root.post(f"/admin/users/user/{alice.pk}/change/", body)
    assert "Say why this account has limits of its own." in page.content.decode()
    assert (
        root.post(f"/admin/users/user/{alice.pk}/change/", {**body, "limits_reason": "a friend"}).status_code
        == 302
    )
    alice.refresh_from_db()
    assert alice.concurrent_jobs_limit == 9


def test_suspending_ends_everything_and_is_logged(root: Client, alice: User, carol: User) -> None:
    token_create(user=alice, name="script")
    browser = Client()
    browser.login(username="alice", password=PASSWORD)
    browser.get("/")
    text = act(root, "users/user", "suspend", alice.pk, reason="spam", _page_of=alice.pk)
    assert "1 user was suspended." in text
    assert "Unsuspend this user" in text, "back on the page of the account"
    alice.refresh_from_db()
    assert (alice.is_active, alice.suspension_reason) == (False, "spam")
    assert not alice.auth_token_set.exists()
    assert "_auth_user_id" not in browser.session
    assert not browser.login(username="alice", password=PASSWORD)
    entry = LogEntry.objects.get(object_id=alice.pk)
    assert (entry.user, entry.change_message) == (carol, "Suspended. spam")
    assert "spam" in root.get("/admin/admin/logentry/?q=carol").content.decode()

    act(root, "users/user", "unsuspend", alice.pk)
    alice.refresh_from_db()
    assert (alice.is_active, alice.suspension_reason) == (True, "")
    assert "1 skipped" in act(root, "users/user", "suspend", carol.pk), "nobody locks himself out"


def test_an_account_is_deleted_whole(root: Client, alice: User, failed: Job) -> None:
    page = root.get(f"/admin/users/user/{alice.pk}/delete/").content.decode()
    assert "alice with every video" in page
    assert root.post(f"/admin/users/user/{alice.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    assert not Job.objects.exists()


def test_settings_are_changed_by_an_operator_and_logged(staff: Staff) -> None:
    operator = staff("Operator")
    body = {
        "drained": "on", "banner": "Back at noon", "banner_level": "warn", "trash_days": "7",
        "low_from": "22:00", "low_until": "06:00", "time_zone": "Europe/Berlin",
    }  # fmt: skip
    assert operator.get("/admin/jobs/sitesettings/").status_code == 302
    answer = operator.post("/admin/jobs/sitesettings/1/change/", body)
    assert answer.status_code == 302
    assert SiteSettings.objects.get().drained
    page = operator.get("/admin/").content.decode()
    assert "Drained: encode, short." in page
    assert "Back at noon" in page
    assert LogEntry.objects.get().get_change_message().startswith("Changed Drain the whole site")
    for wrong in ({"log_days": "0"}, {"time_zone": "Nowhere"}, {"low_until": ""}, {"low_until": "22:00"}):
        refused = operator.post("/admin/jobs/sitesettings/1/change/", {**body, **wrong})
        assert refused.status_code == 200
    stored = SiteSettings.objects.get()
    assert (stored.log_days, stored.time_zone, f"{stored.low_until:%H:%M}") == (
        None,
        "Europe/Berlin",
        "06:00",
    )


def test_limits_are_set_and_taken_away_by_an_operator(staff: Staff) -> None:
    operator = staff("Operator")
    address = "/admin/jobs/limit/add/"
    assert operator.post(address, {"type": "hls", "at_once": "2"}).status_code == 302
    for wrong in ({}, {"type": "hls"}, {"type": "hls", "per_user": "1"}, {"type": "x", "at_once": "1"}):
        assert operator.post(address, wrong).status_code == 200
    assert operator.post(address, {"type": "hls", "at_once": "0"}).status_code == 200
    limit = Limit.objects.get()
    assert (limit.type, limit.at_once, limit.per_user) == ("hls", 2, None)
    assert f"limit/{limit.pk}/change/" in operator.get("/admin/jobs/limit/").content.decode()
    gone = operator.post(f"/admin/jobs/limit/{limit.pk}/delete/", {"post": "yes"})
    assert gone.status_code == 302
    assert not Limit.objects.exists()
