"""The table of problems: code, HTTP status, title, sentence, hint and whether retrying helps.

Codes are part of the public contract: never renamed, never reused. `detail` says what happened and
may hold `{placeholders}` that the raiser must fill; `hint` says what the reader can do about it.
`retryable` is True where the same request or job may succeed later without a change.
"""

from __future__ import annotations

from problems.catalogue import accounts, jobs, media, requests, sharing, storage, uploads, webhooks
from problems.kind import Kind

_GROUPS = (requests, accounts, uploads, storage, sharing, media, webhooks, jobs)

KINDS: dict[str, Kind] = {kind.code: kind for group in _GROUPS for kind in group.KINDS}
