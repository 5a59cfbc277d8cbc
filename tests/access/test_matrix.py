"""Every route, every verb, everybody: who is let in, who is sent away, and for whom nothing is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse

from problems import Problem
from tests.access.conftest import Caller, Things
from tests.access.routes import RULES, VERBS, Route, Rule, routes, rule_of
from tests.pages.conftest import browser_of
from users.models import User
from videos.models import Preset

pytestmark = pytest.mark.django_db

ALL = list(routes())
# Of the callers without a way in, so many try every verb: nobody, an ended session, a revoked token.
THOROUGH = 3
# A pass for the live events changes nothing, but must not be in an address that a cache may keep.
LOOKS_BY_POST = {"api/v1/ws-ticket"}
OPEN_OF_THE_ADMIN = {"/admin/login/", "/admin/logout/"}
_CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
# Bodies that are valid, where they are looked at before the object: so it is the object that is missing.
BODIES: dict[str, dict[str, Any]] = {
    "operations": {"type": "resize", "parameters": {"width": 320}},
}
BODY = {"name": "x"}
# Fragments of a page with a form: they tell in words what the whole page would tell by its status.
IN_WORDS = {"videos/<str:video_id>/presets/plan/", "videos/<str:video_id>/operations/<str:type_>/plan/"}


def of(*rules: Rule) -> list[Route]:
    return [route for route in ALL if rule_of(route) in rules]


def asked(client: Client, verb: str, address: str) -> HttpResponseBase:
    if verb in _CHANGES:
        if address.startswith("/api/"):
            body = json.dumps(BODIES.get(address.rpartition("/")[2], BODY))
            return client.generic(verb, address, body, content_type="application/json")
        return client.generic(verb, address, "name=x", content_type="application/x-www-form-urlencoded")
    return client.generic(verb, address)


def test_every_route_is_classified() -> None:
    unknown = [route.pattern for route in ALL if rule_of(route) is None]
    assert unknown == [], "say in tests/access/routes.py who may have these"
    patterns = {rule for route in ALL for rule in [route.pattern.replace("<str:", "<")]}
    assert set(RULES) <= patterns, "these are gone"


def told(caller: str, verb: str, answer: HttpResponseBase) -> str:
    return f"{caller}: {verb} {getattr(answer, 'request', {}).get('PATH_INFO')}: {answer.status_code}"


def test_without_a_way_in_nobody_gets_past_the_door(things: Things, outsiders: list[Caller]) -> None:
    faults = []
    for route in of(Rule.SIGNED_IN, Rule.OWNER, Rule.EDGE, Rule.STAFF):
        for number, caller in enumerate(outsiders):
            for verb in VERBS if number < THOROUGH else ("GET",):
                answer = asked(caller.client, verb, route.address(things.names))
                if route.is_api:
                    kept_out = answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
                else:
                    signing_in = answer.headers.get("Location", "").startswith(reverse("account_login"))
                    kept_out = answer.status_code == 302 and signing_in
                if not kept_out or things.are_in(answer):
                    faults.append(told(caller.name, verb, answer))
    assert not faults, "\n".join(faults)


def test_for_a_stranger_it_is_not_there(things: Things, strangers: list[Caller]) -> None:
    faults = []
    for route in of(Rule.OWNER):
        for caller in strangers if route.is_api else strangers[:1]:
            answers = {verb: asked(caller.client, verb, route.address(things.names)) for verb in VERBS}
            codes = {verb: answer.status_code for verb, answer in answers.items()}
            if route.is_api:
                expected = {
                    verb: 404 if verb in route.methods else 405 for verb in VERBS if verb != "OPTIONS"
                }
                right = expected.items() <= codes.items()
            elif route.pattern in IN_WORDS:
                chosen = {"preset": Preset.objects.filter(owner=None)[0].pk}
                page = caller.client.post(route.address(things.names), chosen)
                right = Problem("not_found").detail in page.content.decode()
            else:
                right = {404} <= set(codes.values()) <= {404, 405}
            if not right or any(map(things.are_in, answers.values())):
                faults.append(f"{caller.name}: {route.pattern}: {codes}")
    assert not faults, "\n".join(faults)
    assert things.are_untouched()


def test_a_stranger_sees_only_their_own(things: Things, strangers: list[Caller]) -> None:
    faults = []
    for route in of(Rule.SIGNED_IN):
        for caller in strangers if route.is_api else strangers[:1]:
            answer = asked(caller.client, "GET", route.address(things.names))
            if answer.status_code not in {200, 400, 405, 422} or things.are_in(answer):
                faults.append(told(caller.name, "GET", answer))
    assert not faults, "\n".join(faults)


def test_the_owner_is_let_in(things: Things, alice: User) -> None:
    browser, faults = browser_of(alice), []
    for route in of(Rule.SIGNED_IN, Rule.OWNER):
        answer = browser.get(route.address(things.names))
        away = answer.headers.get("Location", "").startswith(reverse("account_login"))
        if answer.status_code not in {200, 302, 400, 405, 422} or away:
            faults.append(told("owner", "GET", answer))
    assert not faults, "\n".join(faults)


def test_a_token_to_read_changes_nothing(things: Things, readers_token: Client) -> None:
    faults = []
    for route in of(Rule.SIGNED_IN, Rule.OWNER):
        if not route.is_api or route.pattern in LOOKS_BY_POST:
            continue
        for verb in VERBS:
            answer = asked(readers_token, verb, route.address(things.names))
            if verb in _CHANGES:
                right = answer.status_code == 403
            else:
                right = answer.status_code in ({200, 400} if verb in route.methods else {405})
            if not right:
                faults.append(told("reader", verb, answer))
    assert not faults, "\n".join(faults)
    assert things.are_untouched()


def test_accounts_are_for_staff_with_the_right(
    things: Things, strangers: list[Caller], alice: User, carol: User
) -> None:
    addresses = [route.address(things.names) for route in of(Rule.STAFF)]
    for address in addresses:
        for caller in strangers:
            assert caller.client.get(address).status_code == 403
        assert browser_of(alice).get(address).status_code == 403, "also of oneself"
        assert browser_of(carol).get(address).status_code == 200
    carol.is_superuser = False
    carol.save()
    for address in addresses:
        assert browser_of(carol).get(address).status_code == 403, "staff without the right"


def test_the_admin_is_for_staff(things: Things, outsiders: list[Caller], strangers: list[Caller]) -> None:
    callers = [*outsiders[:THOROUGH], strangers[0]]
    faults = []
    for route in of(Rule.ADMIN):
        address = route.address(dict.fromkeys(route.holes, "1"))
        for caller in callers:
            for verb in ("GET", "POST"):
                answer = asked(caller.client, verb, address)
                away = answer.status_code == 302 and "login" in answer.headers["Location"]
                if (not away and address not in OPEN_OF_THE_ADMIN) or things.are_in(answer):
                    faults.append(told(caller.name, verb, answer))
    assert not faults, "\n".join(faults)


def test_what_is_for_everybody_says_nothing_of_anybody(things: Things, outsiders: list[Caller]) -> None:
    faults = []
    for route in of(Rule.ANYBODY):
        for caller in outsiders[:THOROUGH]:
            for verb in VERBS:
                answer = asked(caller.client, verb, route.address(things.names))
                # The health page may tell that workers are away, which in a test they are.
                if (answer.status_code >= 500 and route.pattern != "healthz") or things.are_in(answer):
                    faults.append(told(caller.name, verb, answer))
    assert not faults, "\n".join(faults)


def test_figures_are_for_staff(outsiders: list[Caller], strangers: list[Caller], carol: User) -> None:
    for caller in [*outsiders, *strangers]:
        assert caller.client.get("/metrics").status_code in {401, 403, 404}, caller.name
    assert browser_of(carol).get("/metrics").status_code == 200
