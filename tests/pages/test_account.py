"""Signing up and in through the pages, and everything the account page changes."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.conftest import PASSWORD
from tests.pages.conftest import browser_of
from users.models import ApiToken, User
from users.selectors import sessions_for, user_by_token


@pytest.mark.django_db
def test_sign_up_leads_to_the_start_page(client: Client) -> None:
    fields = {"username": "dora", "email": "dora@example.org", "password1": PASSWORD}
    response = client.post("/accounts/signup/", fields, follow=True)
    assert response.redirect_chain[-1][0] == "/"
    assert "Hello, dora" in response.content.decode()


@pytest.mark.django_db
def test_sign_up_errors_stand_beside_their_fields(client: Client, alice: User) -> None:
    fields = {"username": "ALICE", "email": "new@example.org", "password1": "123"}
    page = client.post("/accounts/signup/", fields).content.decode()
    assert "There is a problem" in page
    assert 'id="id_username_error"' in page
    assert 'id="id_password1_error"' in page


@pytest.mark.parametrize("login", ["alice", "alice@example.org"])
def test_sign_in_by_name_or_address(client: Client, alice: User, login: str) -> None:
    response = client.post("/accounts/login/", {"login": login, "password": PASSWORD})
    assert response.headers["Location"] == "/"


def test_a_wrong_password_and_a_wrong_name_read_the_same(client: Client, alice: User) -> None:
    def answer(login: str) -> str:
        page = client.post("/accounts/login/", {"login": login, "password": "wrong"})
        return str(page.context["form"].errors)

    assert answer("alice") == answer("nobody")


def test_the_profile_is_saved(browser: Client, alice: User) -> None:
    fields = {"username": "alice2", "email": "alice2@example.org"}
    assert browser.post("/account/profile/", fields).status_code == 302
    alice.refresh_from_db()
    assert (alice.username, alice.email) == ("alice2", "alice2@example.org")


def test_a_taken_name_is_refused_and_the_head_keeps_the_own(browser: Client, alice: User, bob: User) -> None:
    page = browser.post("/account/profile/", {"username": "BOB", "email": "a@example.org"}).content.decode()
    assert "There is a problem" in page
    assert "Signed in as alice" in page
    alice.refresh_from_db()
    assert alice.username == "alice"


def test_a_new_password_ends_other_sessions_only(browser: Client, alice: User) -> None:
    other = browser_of(alice)
    assert other.get("/account/").status_code == 200
    fields = {"password-current_password": PASSWORD, "password-new_password": "another long one 7"}
    assert browser.post("/account/password/", fields).status_code == 302
    assert browser.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302
    alice.refresh_from_db()
    assert alice.check_password("another long one 7")


@pytest.mark.parametrize(
    ("current", "new", "field"), [("wrong", "another long one 7", "current"), (PASSWORD, "12345678", "new")]
)
def test_a_refused_password_says_which_one(
    browser: Client, alice: User, current: str, new: str, field: str
) -> None:
    fields = {"password-current_password": current, "password-new_password": new}
    page = browser.post("/account/password/", fields).content.decode()
    assert f'id="id_password-{field}_password_error"' in page
    assert new not in page
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_a_token_is_shown_once_and_can_be_revoked(browser: Client, alice: User) -> None:
    fields = {"token-name": "backup", "token-scope": "read", "token-days": "30"}
    text = browser.post("/account/tokens/", fields).context["new_token"]
    found = user_by_token(text)
    assert found is not None
    assert (found[0], found[1].scope) == (alice, "read")
    page = browser.get("/account/").content.decode()
    assert "backup" in page
    assert text not in page
    token = ApiToken.objects.get()
    assert browser.post(f"/account/sessions/{token.public_id}/end/").status_code == 302
    assert user_by_token(text) is None


def test_a_token_needs_a_name(browser: Client) -> None:
    page = browser.post("/account/tokens/", {"token-scope": "read"}, headers={"HX-Request": "true"})
    assert 'id="id_token-name_error"' in page.content.decode()
    assert not ApiToken.objects.exists()


def test_sessions_are_ended_one_by_one_and_all(
    browser: Client, alice: User, strangers_browser: Client
) -> None:
    browser.get("/account/")
    others = [browser_of(alice) for _ in range(3)]
    for other in others:
        other.get("/account/")
    key = others[0].session.session_key
    first = next(session.id for session in sessions_for(alice, current_session_key=key) if session.current)
    assert strangers_browser.post(f"/account/sessions/{first}/end/").status_code == 404
    assert browser.post(f"/account/sessions/{first}/end/").status_code == 302
    assert [other.get("/account/").status_code for other in others] == [302, 200, 200]
    assert browser.post("/account/sessions/end-all/").status_code == 302
    assert [other.get("/account/").status_code for other in others] == [302, 302, 302]
    assert browser.get("/account/").status_code == 200


def test_deleting_the_account_asks_for_the_password(browser: Client, alice: User) -> None:
    page = browser.post("/account/delete/", {"delete-password": "wrong"}).content.decode()
    assert "This is not your password." in page
    assert User.objects.filter(pk=alice.pk).exists()
    assert browser.post("/account/delete/", {"delete-password": PASSWORD}).status_code == 302
    assert not User.objects.filter(pk=alice.pk).exists()
    assert browser.get("/account/").status_code == 302
