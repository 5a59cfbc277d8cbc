"""Accounts and tickets below the API."""

from __future__ import annotations

import threading
from datetime import timedelta

import bcrypt
import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from problems import Problem
from tests.conftest import PASSWORD
from users.models import ApiToken, SocketTicket, Tier, User
from users.selectors import user_by_credentials, user_by_token
from users.services import (
    sessions_purge,
    socket_ticket_create,
    socket_ticket_redeem,
    token_create,
    user_register,
)


@pytest.mark.django_db
class TestTickets:
    def test_open_one_socket(self, alice: User) -> None:
        text = socket_ticket_create(user=alice)

        assert text not in SocketTicket.objects.get().digest
        assert socket_ticket_redeem(text=text) == alice
        assert socket_ticket_redeem(text=text) is None

    @pytest.mark.parametrize("text", ["", "unknown", "\x00", "\ud800"])
    def test_are_not_guessed(self, alice: User, text: str) -> None:
        socket_ticket_create(user=alice)
        assert socket_ticket_redeem(text=text) is None

    def test_last_half_a_minute(self, alice: User) -> None:
        text = socket_ticket_create(user=alice)
        SocketTicket.objects.update(expires_at=timezone.now())
        assert socket_ticket_redeem(text=text) is None

    def test_are_worthless_once_the_account_is_closed(self, alice: User) -> None:
        text = socket_ticket_create(user=alice)
        User.objects.update(is_active=False)
        assert socket_ticket_redeem(text=text) is None


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def at_once(self, count: int, call: object) -> list[object]:
        results: list[object] = []
        barrier = threading.Barrier(count)

        def run() -> None:
            barrier.wait()
            try:
                results.append(call())  # type: ignore[operator]  # a plain function
            except Problem as problem:
                results.append(problem.errors[0].code)
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def test_a_ticket_is_redeemed_once(self, alice: User) -> None:
        text = socket_ticket_create(user=alice)
        results = self.at_once(8, lambda: socket_ticket_redeem(text=text))
        assert sorted(results, key=str) == [None] * 7 + [alice] or results.count(alice) == 1

    def test_a_name_is_given_once(self) -> None:
        def register() -> str:
            return user_register(username="dora", email="dora@example.org", password=PASSWORD).username

        results = self.at_once(6, register)
        assert results.count("dora") == 1
        assert set(results) <= {"dora", "username_taken", "email_taken"}


@pytest.mark.django_db
class TestCredentials:
    def test_an_unknown_name_costs_as_much_as_a_wrong_password(
        self, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nearly all of the time of a sign-in is bcrypt's, and its cost is in the salt."""
        salts: list[bytes] = []
        hashed = bcrypt.hashpw

        def counted(password: bytes, salt: bytes) -> bytes:
            salts.append(salt[: len(b"$2b$12$")])
            return hashed(password, salt)

        monkeypatch.setattr(bcrypt, "hashpw", counted)
        assert user_by_credentials(login="alice", password="wrong") is None
        known, salts = salts, []
        assert user_by_credentials(login="nobody", password="wrong") is None
        assert known == salts
        assert known

    def test_a_token_in_odd_letters_is_nobodys(self, db: None) -> None:
        for text in ("", "\ud800", "é" * 100, "vp_" + "0" * 64):
            assert user_by_token(text) is None


@pytest.mark.django_db
def test_purge_takes_only_what_has_run_out(alice: User) -> None:
    live, _ = token_create(user=alice, name="live")
    old, _ = token_create(user=alice, name="old")
    ApiToken.objects.filter(pk=old.pk).update(expiry=timezone.now() - timedelta(seconds=1))
    socket_ticket_create(user=alice)
    SocketTicket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    Session.objects.create(session_key="old", expire_date=timezone.now() - timedelta(days=1))

    assert sessions_purge() == 3
    assert list(ApiToken.objects.all()) == [live]


@pytest.mark.django_db
def test_tiers_are_added_and_never_overwritten() -> None:
    Tier.objects.filter(name="free").update(concurrent_jobs=9)
    Tier.objects.filter(name="pro").delete()
    call_command("migrate", verbosity=0)

    assert Tier.objects.get(name="free").concurrent_jobs == 9
    assert Tier.objects.get(name="pro").concurrent_jobs == 5
