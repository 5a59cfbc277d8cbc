"""Webhooks: telling other programs of events, signed, at least once. See docs/webhooks.md."""
