"""What the account page says of webhooks."""

from __future__ import annotations

import json
from typing import Any

from django import template

from jobs.webhooks.selectors import webhooks_trouble
from users.models import User

register = template.Library()


@register.inclusion_tag("jobs/webhooks_card.html")
def webhooks_card(user: User) -> dict[str, Any]:
    """How many webhooks the user has, and whether one needs a look."""
    count, switched_off = webhooks_trouble(user)
    return {"count": count, "switched_off": switched_off}


@register.filter
def indented(body: str) -> str:
    """JSON with a line for each member."""
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
