"""The forms of share links."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from videos.models import Output, ShareLink
from videos.services.shares import MOST_DOWNLOADS, PASSWORD_MAX

_DAYS = {"1": "1 day", "7": "1 week", "30": "30 days", "365": "1 year"}
NEVER, AS_IT_IS = "never", "keep"
_PASSWORD_HELP = "Visitors type it once. Send it another way than the link."  # noqa: S105 - words about one


def ends(chosen: str) -> datetime | None:
    """The moment that a choice of the form means."""
    return None if chosen == NEVER else timezone.now() + timedelta(days=int(chosen))


class ShareForm(forms.Form):
    """A new link. What visitors see of its owner is the title alone."""

    title = forms.CharField(
        max_length=255,
        required=False,
        label="Title for visitors",
        help_text="Visitors see this, and nothing else that you wrote; a download is called so too.",
    )
    output = forms.ChoiceField(label="Share", required=False)
    lasts = forms.ChoiceField(
        label="Open for", choices=[*_DAYS.items(), (NEVER, "No end")], initial="7", required=True
    )
    password = forms.CharField(
        max_length=PASSWORD_MAX,
        required=False,
        strip=False,
        help_text=_PASSWORD_HELP,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    allow_download = forms.BooleanField(
        required=False, initial=True, label="Offer the file for download", help_text="Else it can be watched."
    )
    max_downloads = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_DOWNLOADS,
        label="Most downloads",
        help_text="Empty: as many as are wanted.",
    )

    def __init__(self, *args: Any, outputs: Iterable[Output] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [("", "The original"), *((output.pk, output.filename) for output in outputs)]
        if isinstance(field := self.fields["output"], forms.ChoiceField):
            field.choices = choices

    def wishes(self) -> dict[str, Any]:
        """The arguments of `share_create`, but for what is shared."""
        given = self.cleaned_data
        names = ("title", "password", "allow_download", "max_downloads")
        return {**{name: given[name] for name in names}, "expires_at": ends(given["lasts"])}


class ShareChangeForm(ShareForm):
    """A link that is there: what it leads to stays, and its password is changed only where one is typed."""

    no_password = forms.BooleanField(required=False, label="Remove the password")
    field_order = ("title", "lasts", "password", "no_password", "allow_download", "max_downloads")

    def __init__(self, *args: Any, share: ShareLink, **options: Any) -> None:
        initial = {
            "title": share.title,
            "allow_download": share.allow_download,
            "max_downloads": share.max_downloads,
            "lasts": AS_IT_IS,
        }
        super().__init__(*args, initial=initial, **options)
        del self.fields["output"]
        if not share.has_password:
            del self.fields["no_password"]
        if share.expires_at is None:
            now = "As it is: no end"
        else:
            now = f"As it is: until {share.expires_at:%d %b %Y, %H:%M} UTC"
        later = [(days, f"{words} from now") for days, words in _DAYS.items()]
        if isinstance(field := self.fields["lasts"], forms.ChoiceField):
            field.choices = [(AS_IT_IS, now), *later, (NEVER, "No end")]
        self.fields["password"].label = "New password" if share.has_password else "Password"
        if share.has_password:
            self.fields["password"].help_text = "Empty: the one it has. Visitors must type the new one."

    def changes(self) -> dict[str, Any]:
        """What `share_update` is to change."""
        given = self.cleaned_data
        found = {name: given[name] for name in ("title", "allow_download", "max_downloads")}
        if given["lasts"] != AS_IT_IS:
            found["expires_at"] = ends(given["lasts"])
        if given["password"]:
            found["password"] = given["password"]
        elif given.get("no_password"):
            found["password"] = ""
        return found
