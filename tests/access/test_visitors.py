"""Every route of a share link, for a link in every state, whoever comes."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.access.conftest import Caller
from tests.access.routes import VERBS, Route, Rule, routes, rule_of
from users.models import User
from videos.models import ShareLink

pytestmark = pytest.mark.django_db

OF_VISITORS = [route for route in routes() if rule_of(route) == Rule.VISITOR]
# What each answers for a link in each state; nothing for the page itself, which tells what is the matter.
EXPECTED = {
    "open": {"": 200, "media": 200, "poster": 200, "download": 303, "file": 403, "files": 404},
    "locked": {"": 200, "media": 403, "poster": 403, "download": 403, "file": 403, "files": 403},
    "used up": {"": 200, "media": 200, "poster": 200, "download": 403, "file": 403, "files": 404},
    "expired": dict.fromkeys(["", "media", "poster", "download", "file", "files"], 410),
    "revoked": dict.fromkeys(["", "media", "poster", "download", "file", "files"], 404),
    "of the trash": dict.fromkeys(["", "media", "poster", "download", "file", "files"], 404),
}


def address(route: Route, token: str) -> str:
    return route.address({"token": token, "name": "180p.mp4"})


def last(route: Route) -> str:
    found = re.fullmatch(r"s/<str:token>/(\w*).*", route.pattern)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("state", EXPECTED)
def test_what_a_link_answers(
    state: str, links: dict[str, ShareLink], outsiders: list[Caller], strangers: list[Caller], alice: User
) -> None:
    for caller in [*outsiders, *strangers]:
        for route in OF_VISITORS:
            where = address(route, links[state].token)
            answer = caller.client.get(where)
            assert answer.status_code == EXPECTED[state][last(route)], (caller.name, where)
            assert "noindex" in answer.headers["X-Robots-Tag"]
            page = answer.content.decode()
            # Neither who owns it, nor what it is called there.
            assert not any(word in page for word in (alice.username, alice.email, "clip"))
            if answer.status_code >= 400:
                assert "X-Accel-Redirect" not in answer.headers


def test_an_address_that_was_never_given_answers_as_one_that_was_taken_back(
    client: Client, links: dict[str, ShareLink]
) -> None:
    for token in ("0" * 32, "short", "x" * 43, "%00" * 11, links["open"].pk, links["open"].token[:-1] + "!"):
        for route in OF_VISITORS:
            unknown = client.get(address(route, token))
            ended = client.get(address(route, links["revoked"].token))
            assert (unknown.status_code, unknown.content) == (404, ended.content), token


def test_other_verbs_do_nothing(client: Client, links: dict[str, ShareLink]) -> None:
    for route in OF_VISITORS:
        for verb in set(VERBS) - {"GET", "HEAD"}:
            answer = client.generic(verb, address(route, links["open"].token))
            expected = 303 if (verb, last(route)) == ("POST", "") else 405
            assert answer.status_code == expected, (verb, route.pattern)
            assert "noindex" in answer.headers["X-Robots-Tag"]
    links["open"].refresh_from_db()
    assert (links["open"].downloads, links["open"].revoked_at) == (0, None)
