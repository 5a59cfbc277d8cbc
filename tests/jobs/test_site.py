"""What administrators set for the whole site: the drain holds in the claim itself, and pages say so."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction
from django.test import Client

from jobs import dispatch
from jobs.claiming import claims_of_owner_lock, lanes_claimable, step_claim
from jobs.models import SiteSettings, Step
from jobs.reconcile import wake_ups_restore
from jobs.selectors import job_hold
from jobs.site import site_settings, site_settings_save, storage_by_tier, storage_count
from jobs.transitions import job_create
from tests.jobs.conftest import Submit
from users.ids import raw_id
from users.models import Priority, User
from users.services import user_suspend, user_unsuspend
from videos.models import Video


def claimed(lane: str = "encode") -> bool:
    return step_claim(lane=lane, worker="here/1") is not None


@pytest.mark.parametrize(
    ("drain", "short", "encode"),
    [
        ({"drained": True}, False, False),
        ({"drained_short": True}, False, True),
        ({"drained_encode": True}, True, False),
        ({}, True, True),
    ],
)
def test_a_drained_lane_starts_nothing(
    video: Video, submit: Submit, drain: dict[str, bool], short: bool, encode: bool
) -> None:
    job = submit(video)
    job_create(video=video, operation=None, priority=Priority.LOW, plan=None)
    site_settings_save(SiteSettings(**drain))

    open_lanes = [lane for lane, there in (("short", short), ("encode", encode)) if there]
    assert lanes_claimable() == open_lanes
    assert (job_hold(job) is None) is encode
    assert claimed("short") is short
    assert claimed("encode") is encode


def test_what_runs_goes_on_and_what_waits_starts_afterwards(video: Video, submit: Submit) -> None:
    running, waiting = submit(video, width=160), submit(video, width=162)
    claim = step_claim(lane="encode", worker="here/1")
    assert claim is not None
    site_settings_save(SiteSettings(drained=True))
    assert Step.objects.get(job=running).lease_token == claim.token
    wake_ups_restore()
    dispatch.flush()
    sent = dispatch.pending("encode")

    site_settings_save(SiteSettings())
    dispatch.flush()
    assert dispatch.pending("encode") > sent
    again = step_claim(lane="encode", worker="here/1")
    assert again is not None
    assert again.job.id == waiting.id


def test_the_drain_waits_for_claims_under_way(alice: User, video: Video, submit: Submit) -> None:
    submit(video)
    done = threading.Event()

    def drain() -> None:
        site_settings_save(SiteSettings(drained=True))
        done.set()
        connection.close()

    thread = threading.Thread(target=drain)
    with transaction.atomic():
        claims_of_owner_lock(raw_id(alice.pk))
        thread.start()
        assert not done.wait(0.3), "a claim that began before must have ended first"
    thread.join()
    assert site_settings().drained
    assert not claimed()


def test_nothing_starts_for_a_suspended_account(alice: User, video: Video, submit: Submit) -> None:
    submit(video)
    user_suspend(user=alice, reason="spam")
    assert not claimed()
    assert lanes_claimable() == []
    user_unsuspend(user=alice)
    assert claimed()


def test_settings_are_one_row(video: Video) -> None:
    assert site_settings().trash_days == 7
    for banner in ("first", "second"):
        site_settings_save(SiteSettings(banner=banner))
    assert SiteSettings.objects.get().banner == "second"


def test_pages_say_why_a_job_waits(alice: User, video: Video, submit: Submit) -> None:
    job = submit(video)
    client = Client()
    client.force_login(alice)
    said = "your job starts when it is over"

    def texts() -> list[str]:
        return [client.get(path).content.decode() for path in ("/", "/jobs/", f"/jobs/{job.id}/")]

    assert not any(said in text for text in texts())
    site_settings_save(SiteSettings(drained=True, drained_until=datetime(2030, 5, 1, 12, tzinfo=UTC)))
    for text in texts():
        assert said in text
        assert "The site is paused for maintenance." in text
        assert "2030-05-01T12:00" in text
    site_settings_save(SiteSettings(drained_encode=True))
    for text in texts():
        assert said in text
        assert "What runs goes on" not in text, "that is for the whole site"
    site_settings_save(SiteSettings(drained_short=True))
    assert not any(said in text for text in texts())


def test_everybody_sees_the_banner(db: None) -> None:
    site_settings_save(SiteSettings(banner="Tonight <b>we move</b>.", banner_level="warn"))
    for path in ("/", "/accounts/login/", "/admin/login/"):
        text = Client().get(path).content.decode()
        assert "Tonight &lt;b&gt;we move&lt;/b&gt;." in text
        assert 'data-tone="warn"' in text


def test_health_names_what_is_drained(db: None) -> None:
    assert Client().get("/healthz").json()["drained"] == []
    site_settings_save(SiteSettings(drained_encode=True))
    assert Client().get("/healthz").json()["drained"] == ["encode"]


def test_storage_is_counted_by_tier(bob: User, video: Video) -> None:
    User.objects.filter(pk=bob.pk).update(tier="pro")
    Video.objects.create(owner=bob, name="b", size=5)
    storage_count()
    storage_count()
    found = {row.tier_id: (row.accounts, row.originals) for row in storage_by_tier()}
    assert found == {"free": (1, video.size), "pro": (1, 5), "enterprise": (0, 0)}
