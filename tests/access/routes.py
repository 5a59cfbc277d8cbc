"""Every route there is, read from the resolver, and what each is: a new one fails until it is named here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Rule(Enum):
    """Who may have what is behind a route."""

    ANYBODY = "everybody, signed in or not"
    SIGNED_IN = "whoever is signed in, about themselves"
    OWNER = "the owner of what the address names; for others it is not there"
    STAFF = "staff with the right to it"
    ADMIN = "staff, in the admin"
    VISITOR = "whoever holds the link"
    MONITOR = "staff, or a program with the token of monitoring"
    EDGE = "as the owner's, but answered by the uploads process"


@dataclass(frozen=True)
class Route:
    """An address with holes, and the view behind it."""

    pattern: str
    view: Any

    @property
    def is_api(self) -> bool:
        return self.pattern.startswith("api/")

    @property
    def holes(self) -> list[str]:
        return re.findall(r"<(?:\w+:)?(\w+)>", self.pattern)

    def address(self, names: dict[str, str]) -> str:
        """With what the holes stand for; KeyError for one nobody has thought of."""
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: names[found[1]], self.pattern)

    @property
    def methods(self) -> set[str]:
        """What a view of the API has, by its class."""
        found = {verb for verb in VERBS if hasattr(self.view.cls, verb.lower())}
        return found | {"HEAD"} if "GET" in found else found


def routes() -> Iterator[Route]:
    """All of them but the admin's, which are one rule and have no fixed number."""
    return _below(get_resolver(), "")


def _below(resolver: URLResolver, prefix: str) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        pattern = prefix + _plain(str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from _below(entry, pattern)
        elif isinstance(entry, URLPattern):
            yield Route(pattern, entry.callback)


def _plain(pattern: str) -> str:
    """Regular expressions as the routes they mean."""
    text = pattern.removeprefix("^").removesuffix("$").replace("\\Z", "")
    return re.sub(r"\(\?P(<\w+>)[^()]*\)", r"\1", text)


_PAGES_ANYBODY = """
    |accounts/login/|accounts/logout/|accounts/signup/|accounts/inactive/|accounts/confirm-email/
    |accounts/confirm-email/<key>/|accounts/password/reset/|accounts/password/reset/done/
    |accounts/password/reset/key/<uidb36>-<key>/|accounts/password/reset/key/<rest>/
    |accounts/password/reset/key/done/|accounts/email/|accounts/password/change/|accounts/password/set/
    |accounts/reauthenticate/|accounts/login/code/confirm/|api/docs|api/v1/schema|favicon.ico|healthz
    |internal/staff|api/v1/auth/register|api/v1/auth/login|
"""
_SIGNED_IN = """
    |running/|sample/|jobs/|jobs/cancel/|statistics/|statistics/live/|account/webhooks/|videos/|selection/
    |shares/|storage/|trash/|trash/restore/|trash/delete/|trash/empty/|presets/|presets/new/|upload/|account/
    |queue/|files/|upload/import/|upload/imports/|api/v1/imports|api/v1/videos/import|api/v1/queue
    |account/profile/|account/password/|account/tokens/|account/sessions/end-all/|account/delete/
    |api/v1/auth/logout|api/v1/auth/logout-all|api/v1/me|api/v1/me/password|api/v1/me/statistics
    |api/v1/me/storage|api/v1/me/retention|api/v1/sessions|api/v1/tokens|api/v1/assets|api/v1/operations
    |api/v1/presets|api/v1/shares|api/v1/videos|api/v1/videos/counts|api/v1/jobs|api/v1/jobs/cancel
    |api/v1/stats/jobs|api/v1/stats/jobs/by-type|api/v1/stats/jobs/timeline|api/v1/stats/jobs/slow
    |api/v1/stats/jobs/failures|api/v1/webhooks|api/v1/ws-ticket|
"""
_OWNER = """
    |jobs/<job_id>/|jobs/<job_id>/row/|jobs/<job_id>/log/|jobs/<job_id>/cancel/|jobs/<job_id>/pause/
    |jobs/<job_id>/resume/|jobs/<job_id>/bump/|jobs/<job_id>/retry/|jobs/<job_id>/fix/
    |account/webhooks/<webhook_id>/|account/webhooks/<webhook_id>/rotate/|account/webhooks/<webhook_id>/test/
    |account/webhooks/<webhook_id>/switch/|account/webhooks/<webhook_id>/delete/
    |account/webhooks/<webhook_id>/deliveries/<delivery_id>/
    |account/webhooks/<webhook_id>/deliveries/<delivery_id>/resend/|operations/<operation_id>/card/
    |videos/<video_id>/presets/|videos/<video_id>/presets/plan/|videos/<video_id>/operations/<type_>/preset/
    |videos/<video_id>/operations/<type_>/|videos/<video_id>/operations/<type_>/plan/|videos/<video_id>/
    |videos/<video_id>/tile/|videos/<video_id>/rename/|videos/<video_id>/delete/|videos/<video_id>/shares/
    |shares/<share_id>/|shares/<share_id>/revoke/|shares/<share_id>/delete/|presets/<preset_id>/
    |presets/<preset_id>/delete/|upload/<upload_id>/discard/|queue/<job_id>/|files/<asset_id>/delete/
    |upload/imports/<import_id>/retry/|api/v1/imports/<import_id>|api/v1/imports/<import_id>/retry
    |api/v1/jobs/<job_id>/move|account/sessions/<session_id>/end/
    |api/v1/sessions/<session_id>|api/v1/sessions/<session_id>/extend|api/v1/assets/<asset_id>
    |api/v1/assets/<asset_id>/file|api/v1/outputs/<output_id>/file|api/v1/outputs/<output_id>/files/<name>
    |api/v1/presets/<preset_id>|api/v1/shares/<share_id>|api/v1/shares/<share_id>/revoke
    |api/v1/shares/<share_id>/visits|api/v1/videos/<video_id>|api/v1/videos/<video_id>/file
    |api/v1/videos/<video_id>/restore|api/v1/videos/<video_id>/shares|api/v1/videos/<video_id>/thumbnail
    |api/v1/videos/<video_id>/operations|api/v1/operations/<operation_id>|api/v1/jobs/<job_id>
    |api/v1/jobs/<job_id>/log|api/v1/jobs/<job_id>/cancel|api/v1/jobs/<job_id>/pause
    |api/v1/jobs/<job_id>/resume|api/v1/jobs/<job_id>/bump|api/v1/jobs/<job_id>/retry
    |api/v1/stats/videos/<video_id>|api/v1/webhooks/<webhook_id>|api/v1/webhooks/<webhook_id>/rotate
    |api/v1/webhooks/<webhook_id>/test|api/v1/webhooks/<webhook_id>/deliveries
    |api/v1/webhooks/<webhook_id>/deliveries/<delivery_id>/redeliver|
"""
_STAFF = "|api/v1/users|api/v1/users/<user_id>|api/v1/users/<user_id>/statistics|"
_VISITOR = """
    |s/<token>/|s/<token>/media|s/<token>/files/<name>|s/<token>/poster|s/<token>/download|s/<token>/file|
"""


def _named(text: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(
        (name.strip() for name in text.strip().strip("|").replace("\n", "").split("|")), rule
    )


RULES: dict[str, Rule] = {
    "": Rule.ANYBODY,
    **_named(_PAGES_ANYBODY, Rule.ANYBODY),
    **_named(_SIGNED_IN, Rule.SIGNED_IN),
    **_named(_OWNER, Rule.OWNER),
    **_named(_STAFF, Rule.STAFF),
    **_named(_VISITOR, Rule.VISITOR),
    "metrics": Rule.MONITOR,
    "api/v1/archive": Rule.EDGE,
    "api/v1/videos/<video_id>/archive": Rule.EDGE,
}


def rule_of(route: Route) -> Rule | None:
    """None for a route that nobody has thought about."""
    if route.pattern.startswith("admin/"):
        return Rule.ADMIN
    return RULES.get(re.sub(r"<\w+:", "<", route.pattern))
