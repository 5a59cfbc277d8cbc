"""One of everything that Alice can own, and everybody who may come along."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.http.response import HttpResponseBase
from django.test import Client
from django.utils import timezone

from engine import catalogue
from jobs.models import Job
from jobs.webhook_models import Webhook, WebhookDelivery
from tests.pages.conftest import MEDIA, browser_of
from tests.videos.cast import published, ready_video, stream_artifact
from users.models import ApiToken, User
from users.selectors import browser_session_id
from users.services import sessions_end_all, token_create, token_revoke
from videos.models import Asset, Operation, Preset, ShareLink, Upload, UrlImport, Video
from videos.services.shares import share_create, share_revoke

SECRET = "Nobody else may read this name"


@dataclass(frozen=True)
class Things:
    """What the holes of Alice's addresses stand for, and the words that no stranger may see."""

    names: dict[str, str]
    words: tuple[str, ...]

    def are_in(self, answer: HttpResponseBase) -> bool:
        """Whether an answer tells any of the words."""
        page = getattr(answer, "content", b"").decode(errors="replace")
        return any(word in page for word in self.words)

    def are_untouched(self) -> bool:
        """Whether nothing that a verb may change or remove has changed."""
        names = self.names
        return (
            Video.objects.filter(pk=names["video_id"], deleted_at=None, name=SECRET).exists()
            and ShareLink.objects.filter(pk=names["share_id"], revoked_at=None).exists()
            and Job.objects.filter(pk=names["job_id"], status=Job.Status.QUEUED).exists()
            and Preset.objects.filter(pk=names["preset_id"], name=SECRET).exists()
            and Webhook.objects.filter(pk=names["webhook_id"], enabled=True).exists()
            and Upload.objects.filter(pk=names["upload_id"]).exists()
            and Asset.objects.filter(pk=names["asset_id"]).exists()
        )


@pytest.fixture
def things(alice: User, tmp_path: Path) -> Things:
    picture = tmp_path / "thumbnail.jpg"
    picture.write_bytes(b"jpeg")
    video = ready_video(alice, thumbnail=picture)
    video.name = SECRET
    video.save(update_fields=["name"])
    output = published(video, "hls", stream_artifact(tmp_path))
    parameters = catalogue.parameters_for("resize", {"width": 640})
    operation = Operation.objects.create(
        video=video,
        type="resize",
        parameters=catalogue.normalised(parameters),
        fingerprint=catalogue.fingerprint("resize", parameters),
    )
    job = Job.objects.create(
        owner=alice,
        video=video,
        operation=operation,
        type="resize",
        plan=catalogue.plan_for("resize", parameters, MEDIA).model_dump(mode="json"),
    )
    later = timezone.now() + timedelta(days=1)
    upload = Upload.objects.create(owner=alice, filename=SECRET, length=10, expires_at=later)
    arriving = Upload.objects.create(owner=alice, filename=SECRET, expires_at=later)
    wished = UrlImport.objects.create(owner=alice, upload=arriving, url=f"https://example.org/{SECRET}")
    asset = Asset.objects.create(
        owner=alice, kind="picture", filename=f"{SECRET}.png", size=3, sha256="0" * 64, media_info={}
    )
    preset = Preset.objects.create(
        owner=alice, name=SECRET, type="resize", parameters={"width": 640}, purpose="other"
    )
    webhook = Webhook.objects.create(
        owner=alice, url="https://example.org/hook", description=SECRET, events=["job.completed"]
    )
    delivery = WebhookDelivery.objects.create(
        webhook=webhook, event_id="evt_" + "0" * 32, type="job.completed", body="{}", give_up_at=later
    )
    signed_in = browser_of(alice)
    key = signed_in.session.session_key
    assert key is not None
    share = share_create(video=video, title="For everybody")
    names = {
        "video_id": video.pk,
        "output_id": output.pk,
        "operation_id": operation.pk,
        "job_id": job.pk,
        "upload_id": upload.pk,
        "asset_id": asset.pk,
        "import_id": wished.pk,
        "preset_id": preset.pk,
        "webhook_id": webhook.pk,
        "delivery_id": delivery.pk,
        "session_id": browser_session_id(key),
        "share_id": share.pk,
        "user_id": alice.pk,
        "token": share.token,
        "name": "180p.mp4",
        "type_": "resize",
        "key": "0",
        "rest": "0-0",
        "uidb36": alice.pk,
    }
    return Things(names, (SECRET, alice.email))


@dataclass(frozen=True)
class Caller:
    """Somebody at the door."""

    name: str
    client: Client


def _with_token(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def ended(alice: User) -> Caller:
    """A browser that still sends the cookie of a session that is over."""
    browser = browser_of(alice)
    # A session is known to the list of sessions from its first page on.
    assert browser.get("/account/").status_code == 200
    sessions_end_all(user=alice)
    return Caller("ended session", browser)


@pytest.fixture
def outsiders(alice: User, ended: Caller) -> list[Caller]:
    """Everybody without a way in."""
    token, revoked = token_create(user=alice, name="revoked")
    token_revoke(token=token)
    stale, expired = token_create(user=alice, name="expired")
    ApiToken.objects.filter(pk=stale.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    return [
        Caller("anonymous", Client()),
        ended,
        Caller("revoked token", _with_token(revoked)),
        Caller("expired token", _with_token(expired)),
        Caller("no such token", _with_token("vp_" + "0" * 64)),
    ]


@pytest.fixture
def strangers(bob: User) -> list[Caller]:
    """Bob, in a browser and by a program."""
    _, text = token_create(user=bob, name="stranger")
    return [
        Caller("stranger's browser", browser_of(bob)),
        Caller("stranger's token", _with_token(text)),
    ]


@pytest.fixture
def readers_token(alice: User) -> Client:
    """A program of Alice's that may only look."""
    _, text = token_create(user=alice, name="reader", scope=ApiToken.Scope.READ)
    return _with_token(text)


@pytest.fixture
def links(alice: User, tmp_path: Path) -> dict[str, ShareLink]:
    """A link in every state."""
    folder = tmp_path / "shared"
    folder.mkdir()
    picture = folder / "thumbnail.jpg"
    picture.write_bytes(b"jpeg")
    video = ready_video(alice, thumbnail=picture)
    trashed = ready_video(alice)
    found = {
        "open": share_create(video=video),
        "locked": share_create(video=video, password="open sesame"),
        "expired": share_create(video=video, expires_at=timezone.now() + timedelta(hours=1)),
        "revoked": share_revoke(share=share_create(video=video)),
        "of the trash": share_create(video=trashed),
        "used up": share_create(video=video, max_downloads=1),
    }
    ShareLink.objects.filter(pk=found["expired"].pk).update(expires_at=timezone.now())
    ShareLink.objects.filter(pk=found["used up"].pk).update(downloads=1)
    Video.objects.filter(pk=trashed.pk).update(deleted_at=timezone.now())
    return found
