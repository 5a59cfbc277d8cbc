"""What an account left behind must not open it any more: former addresses, tokens after a reset."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from tests.conftest import PASSWORD
from users.models import User
from users.selectors import user_by_token
from users.services import token_create, user_update


@pytest.fixture
def dora(db: None) -> User:
    """Signed up in the browser, where allauth keeps a note of her address."""
    form = {"username": "dora", "email": "dora@example.org", "password1": PASSWORD}
    assert Client().post(reverse("account_signup"), form).status_code == 302
    return User.objects.get(username="dora")


def _signs_in(login: str) -> bool:
    client = Client()
    client.post(reverse("account_login"), {"login": login, "password": PASSWORD})
    return "_auth_user_id" in client.session


def test_a_former_address_does_not_sign_in(dora: User) -> None:
    user_update(user=dora, email="new@example.org")
    assert _signs_in("new@example.org")
    assert not _signs_in("dora@example.org")


def test_a_reset_is_not_sent_to_a_former_address(dora: User) -> None:
    user_update(user=dora, email="new@example.org")
    Client().post(reverse("account_reset_password"), {"email": "dora@example.org"})
    # Whoever asks learns nothing; the owner of the address may be told that there is no account.
    assert not any(re.search(r"/accounts/password/reset/key/", str(message.body)) for message in mail.outbox)
    Client().post(reverse("account_reset_password"), {"email": "new@example.org"})
    assert re.search(r"/accounts/password/reset/key/", str(mail.outbox[-1].body))


def test_a_reset_ends_the_tokens(dora: User) -> None:
    _, text = token_create(user=dora, name="stolen")
    assert user_by_token(text) is not None
    client = Client()
    client.post(reverse("account_reset_password"), {"email": dora.email})
    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", str(mail.outbox[-1].body))
    assert link is not None
    form = client.get(link[1], follow=True)
    assert form.status_code == 200
    done = client.post(
        form.redirect_chain[-1][0],
        {"password1": "an entirely new one 9", "password2": "an entirely new one 9"},
    )
    assert done.status_code == 302
    assert user_by_token(text) is None


@pytest.mark.parametrize("link", ["abc-def", "usr_0-set-password", "1-2-3"])
def test_a_made_up_reset_link_is_not_found(db: None, link: str) -> None:
    assert Client().get(f"/accounts/password/reset/key/{link}/").status_code == 404
