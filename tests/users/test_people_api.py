"""Finding accounts, and keeping sessions open."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.utils import timezone
from rest_framework.test import APIClient

from problems import Problem
from tests.conftest import PASSWORD, client_of
from users.models import ApiToken, User
from users.selectors import user_find, user_get, users_matching
from users.services import session_extend, token_create

pytestmark = pytest.mark.django_db


class TestFinding:
    def test_by_id_name_and_address_in_any_case(self, alice: User, bob: User) -> None:
        assert user_get(alice.pk) == user_find("ALICE") == user_find("Alice@Example.org") == alice
        assert user_find("nobody") is None
        for wrong in ("usr_" + "0" * 32, alice.pk.replace("usr", "vid"), "", "alice"):
            with pytest.raises(Problem, match="not") as caught:
                user_get(wrong)
            assert caught.value.code == "not_found"

    def test_by_words(self, alice: User, bob: User) -> None:
        assert list(users_matching("")) == [bob, alice]
        assert list(users_matching("ALI example")) == [alice]
        assert list(users_matching("ali bob")) == []

    def test_is_for_staff_with_the_right(self, alice: User, bob: User, carol: User) -> None:
        boss, support = client_of(carol), client_of(bob)
        assert support.get("/api/v1/users").status_code == 403
        User.objects.filter(pk=bob.pk).update(is_staff=True)
        assert support.get("/api/v1/users").status_code == 403
        bob.user_permissions.add(Permission.objects.get(codename="view_user"))
        assert support.get("/api/v1/users").status_code == 200
        listed = boss.get("/api/v1/users", {"search": "ali", "limit": "1"}).json()
        assert [user["username"] for user in listed["data"]] == ["alice"]
        for name in (alice.pk, "alice", "alice@example.org"):
            assert boss.get(f"/api/v1/users/{name}").json()["id"] == alice.pk
        assert boss.get("/api/v1/users/nobody").json()["code"] == "not_found"
        assert "password" not in boss.get(f"/api/v1/users/{alice.pk}").json()

    def test_strangers_see_nothing(self, bobs_client: APIClient, anonymous: APIClient, alice: User) -> None:
        for address in ("", f"/{alice.pk}", f"/{alice.pk}/statistics"):
            assert bobs_client.get(f"/api/v1/users{address}").status_code == 403
            assert anonymous.get(f"/api/v1/users{address}").status_code == 401


class TestExtending:
    def test_a_token(self, alice: User, alices_client: APIClient) -> None:
        token = ApiToken.objects.get(user=alice)
        ApiToken.objects.update(expiry=timezone.now() + timedelta(hours=1))
        answer = alices_client.post(f"/api/v1/sessions/{token.public_id}/extend")
        assert answer.status_code == 200
        token.refresh_from_db()
        assert token.expiry > timezone.now() + timedelta(days=6, hours=23)
        assert answer.json()["id"] == token.public_id

    def test_shortens_nothing_and_ends_after_a_year(self, alice: User) -> None:
        token, _ = token_create(user=alice, name="long", lifetime=timedelta(days=90))
        before = token.expiry
        session_extend(user=alice, session_id=token.public_id)
        token.refresh_from_db()
        assert token.expiry == before
        created = timezone.now() - timedelta(days=364)
        ApiToken.objects.filter(pk=token.pk).update(
            created=created, expiry=timezone.now() + timedelta(hours=1)
        )
        session_extend(user=alice, session_id=token.public_id)
        token.refresh_from_db()
        assert token.expiry == created + timedelta(days=365)

    def test_a_browser_and_its_cookie(self, alice: User) -> None:
        browser = APIClient()
        browser.login(username="alice", password=PASSWORD)
        (session,) = browser.get("/api/v1/sessions").json()["data"]
        Session.objects.update(expire_date=timezone.now() + timedelta(hours=1))
        answer = browser.post(f"/api/v1/sessions/{session['id']}/extend")
        assert answer.status_code == 200
        assert answer.json()["current"]
        assert "videoproc_session" in answer.cookies
        assert Session.objects.get().expire_date > timezone.now() + timedelta(days=6)

    def test_what_is_not_there_or_not_theirs(self, alice: User, bobs_client: APIClient) -> None:
        token, _ = token_create(user=alice, name="hers")
        for wrong in (token.public_id, "tok_x", "ses_" + "0" * 32, "x"):
            assert bobs_client.post(f"/api/v1/sessions/{wrong}/extend").json()["code"] == "not_found"
        ApiToken.objects.filter(user=alice).update(expiry=timezone.now())
        with pytest.raises(Problem, match="not"):
            session_extend(user=alice, session_id=token.public_id)
