"""Sign up, in and out through the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from rest_framework.test import APIClient

from tests.conftest import PASSWORD, client_of
from users.models import ApiToken, User

pytestmark = pytest.mark.django_db
REGISTER, LOGIN = "/api/v1/auth/register", "/api/v1/auth/login"


def login(client: APIClient, name: str, password: str = PASSWORD) -> Any:
    return client.post(LOGIN, {"username": name, "password": password}, format="json")


class TestRegister:
    def test_makes_a_free_account_with_a_bcrypt_password(self, anonymous: APIClient) -> None:
        body = {"username": "dora", "email": "dora@Example.org", "password": PASSWORD}
        response = anonymous.post(REGISTER, body, format="json")

        assert response.status_code == 201
        assert response.json()["id"].startswith("usr_")
        assert (response.json()["username"], response.json()["tier"]) == ("dora", "free")
        assert "password" not in response.json()
        user = User.objects.get(username="dora")
        assert identify_hasher(user.password).algorithm == "bcrypt_sha256"
        assert user.check_password(PASSWORD)

    def test_a_name_and_an_address_are_taken_in_any_case(self, anonymous: APIClient, alice: User) -> None:
        body = {"username": "ALICE", "email": "Alice@EXAMPLE.org", "password": PASSWORD}
        response = anonymous.post(REGISTER, body, format="json")

        assert response.status_code == 400
        assert response["Content-Type"] == "application/problem+json"
        assert response.json()["code"] == "invalid_request"
        found = {(error["pointer"], error["code"]) for error in response.json()["errors"]}
        assert found == {("/username", "username_taken"), ("/email", "email_taken")}

    @pytest.mark.parametrize(
        ("field", "value", "code"),
        [
            ("username", "a@b", "invalid_username"),
            ("username", "x", "min_length"),
            ("username", "", "blank"),
            ("username", "nul\x00", "null_characters_not_allowed"),
            ("email", "nowhere", "invalid"),
            ("email", "", "blank"),
            ("password", "short", "password_too_short"),
            ("password", "password123", "password_too_common"),
            ("password", "nul\x00nul\x00nul\x00", "null_characters_not_allowed"),
            ("password", "x" * 1_000_000, "max_length"),
        ],
    )
    def test_names_the_wrong_field(self, anonymous: APIClient, field: str, value: str, code: str) -> None:
        body = {"username": "dora", "email": "dora@example.org", "password": PASSWORD, field: value}
        response = anonymous.post(REGISTER, body, format="json")

        assert response.status_code == 400
        assert (f"/{field}", code) in {(e["pointer"], e["code"]) for e in response.json()["errors"]}

    def test_all_of_a_long_password_counts(self, anonymous: APIClient) -> None:
        long = "correct horse battery " * 4  # bcrypt alone would look at the first 72 bytes only
        body = {"username": "dora", "email": "dora@example.org", "password": long + "1"}
        assert anonymous.post(REGISTER, body, format="json").status_code == 201

        assert login(anonymous, "dora", long + "1").status_code == 200
        assert login(anonymous, "dora", long + "2").status_code == 401


class TestLogin:
    @pytest.mark.parametrize("name", ["alice", "ALICE", "alice@example.org", "Alice@Example.ORG"])
    def test_by_name_or_address_in_any_case(self, anonymous: APIClient, alice: User, name: str) -> None:
        response = login(anonymous, name)

        assert response.status_code == 200
        assert response.json()["user"]["id"] == alice.pk
        assert response.json()["expires_at"].endswith("Z")
        anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {response.json()['token']}")
        assert anonymous.get("/api/v1/me").json()["username"] == "alice"

    def test_one_text_for_a_wrong_name_and_a_wrong_password(self, anonymous: APIClient, alice: User) -> None:
        wrong_name, wrong_password = login(anonymous, "nobody"), login(anonymous, "alice", "not it at all")

        assert wrong_name.status_code == wrong_password.status_code == 401
        without_id = [{**r.json(), "request_id": ""} for r in (wrong_name, wrong_password)]
        assert without_id[0] == without_id[1]
        assert without_id[0]["code"] == "invalid_credentials"

    @pytest.mark.parametrize("password", ["", "x" * 1_000_000])
    def test_odd_passwords_are_just_wrong(self, anonymous: APIClient, alice: User, password: str) -> None:
        assert login(anonymous, "alice", password).status_code in {400, 401}

    def test_an_inactive_account_stays_outside(self, anonymous: APIClient, alice: User) -> None:
        User.objects.filter(pk=alice.pk).update(is_active=False)

        assert login(anonymous, "alice").json()["code"] == "invalid_credentials"

    def test_guessing_is_slowed_down(self, anonymous: APIClient, alice: User) -> None:
        statuses = [login(anonymous, "alice", f"guess {n}").status_code for n in range(21)]

        assert statuses[:20] == [401] * 20
        assert statuses[20] == 429
        refused = login(anonymous, "alice")
        assert refused.json()["code"] == "throttled"
        assert int(refused["Retry-After"]) > 0


class TestToken:
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token", "TOKEN"])
    def test_both_schemes_in_any_case(self, anonymous: APIClient, alice: User, scheme: str) -> None:
        token = login(anonymous, "alice").json()["token"]

        assert anonymous.get("/api/v1/me", HTTP_AUTHORIZATION=f"{scheme} {token}").status_code == 200

    @pytest.mark.parametrize(
        "header", ["Bearer", "Bearer ", "Bearer x y", "Bearer é", "Token vp_00", "Basic YTpi"]
    )
    def test_anything_else_is_401_with_a_challenge(self, anonymous: APIClient, db: None, header: str) -> None:
        response = anonymous.get("/api/v1/me", HTTP_AUTHORIZATION=header)

        assert response.status_code == 401
        assert response["WWW-Authenticate"] == "Bearer"
        assert response.json()["code"] == "not_authenticated"

    def test_an_expired_one_is_over(self, alice: User) -> None:
        client = client_of(alice)
        ApiToken.objects.update(expiry="2020-01-01T00:00:00Z")

        assert client.get("/api/v1/me").status_code == 401

    def test_a_read_only_one_reads(self, alices_client: APIClient) -> None:
        body = {"name": "dashboard", "scope": "read", "expires_in_days": 30}
        made = alices_client.post("/api/v1/tokens", body, format="json")
        assert made.status_code == 201
        reader = APIClient()
        reader.credentials(HTTP_AUTHORIZATION=f"Bearer {made.json()['token']}")

        assert reader.get("/api/v1/videos").status_code == 200
        for refused in (
            reader.patch("/api/v1/me", {}),
            reader.post("/api/v1/tokens", body),
            reader.delete("/api/v1/me"),
        ):
            assert refused.status_code == 403
            assert refused.json()["code"] == "permission_denied"

    def test_use_is_noted_once_a_minute_and_costs_one_query(
        self, alice: User, django_assert_num_queries: object
    ) -> None:
        client = client_of(alice)
        client.get("/api/v1/operations")
        first = ApiToken.objects.get().last_used_at
        assert first is not None

        with django_assert_num_queries(1):  # type: ignore[operator]  # pytest-django gives it no type
            assert client.get("/api/v1/operations").status_code == 200
        assert ApiToken.objects.get().last_used_at == first


class TestLogout:
    def test_ends_the_token_it_came_with(self, alice: User) -> None:
        one, other = client_of(alice), client_of(alice)

        assert one.post("/api/v1/auth/logout").status_code == 204
        assert one.get("/api/v1/me").status_code == 401
        assert other.get("/api/v1/me").status_code == 200

    def test_everywhere_ends_sessions_and_tokens(self, alice: User, bobs_client: APIClient) -> None:
        one, other, browser = client_of(alice), client_of(alice), APIClient()
        browser.login(username="alice", password=PASSWORD)
        assert browser.get("/api/v1/me").status_code == 200

        assert one.post("/api/v1/auth/logout-all").status_code == 204
        for client in (one, other, browser):
            assert client.get("/api/v1/me").status_code == 401
        assert bobs_client.get("/api/v1/me").status_code == 200

    def test_of_a_browser_needs_the_csrf_token(self, alice: User) -> None:
        browser = APIClient(enforce_csrf_checks=True)
        browser.login(username="alice", password=PASSWORD)

        refused = browser.post("/api/v1/auth/logout")
        assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
        assert browser.get("/api/v1/me").status_code == 200
