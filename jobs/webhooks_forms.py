"""The form of a webhook. Rules about values live in the services; here is only their shape."""

from __future__ import annotations

from django import forms

from jobs.webhooks.events import EVENTS
from jobs.webhooks.selectors import may_have_site_wide
from users.models import User

_WORDS = {
    "job.completed": "A job is done",
    "job.failed": "A job failed",
    "job.cancelled": "A job was cancelled",
    "video.ready": "A video is ready",
}


class WebhookForm(forms.Form):
    url = forms.CharField(
        max_length=2000,
        label="Address",
        help_text="Begins with https:// and is reached over the internet.",
        widget=forms.URLInput(attrs={"placeholder": "https://example.org/hooks/video"}),
    )
    description = forms.CharField(max_length=200, required=False, help_text="What it is for.")
    events = forms.MultipleChoiceField(
        choices=[(event, _WORDS[event]) for event in EVENTS],
        initial=["job.completed", "job.failed"],
        label="Tell it when",
        widget=forms.CheckboxSelectMultiple,
    )
    site_wide = forms.BooleanField(
        required=False, label="Of everybody", help_text="Events of all accounts, not only yours."
    )

    def __init__(self, *args: object, viewer: User, new: bool = True, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # passed on as they came
        if not new or not may_have_site_wide(viewer):
            del self.fields["site_wide"]
