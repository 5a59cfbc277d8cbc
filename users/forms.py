"""The forms of the account page. Rules about values live in the services; here is only their shape."""

from __future__ import annotations

from datetime import timedelta

from django import forms

from users.models import ApiToken, User


class ProfileForm(forms.Form):
    username = forms.CharField(max_length=150, label="User name")
    email = forms.EmailField(max_length=254, label="E-mail address")


class PasswordForm(forms.Form):
    current_password = forms.CharField(
        label="Current password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    new_password = forms.CharField(
        label="New password",
        strip=False,
        help_text="At least 8 characters, not a common password. All other sessions and API tokens end.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class TokenForm(forms.Form):
    DAYS = ((7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year"))

    name = forms.CharField(
        max_length=80, help_text="Where it is used, such as “backup script”.", widget=forms.TextInput
    )
    scope = forms.ChoiceField(choices=ApiToken.Scope, initial=ApiToken.Scope.WRITE, label="May do")
    days = forms.TypedChoiceField(choices=DAYS, coerce=int, initial=90, label="Lasts")

    @property
    def lifetime(self) -> timedelta:
        return timedelta(days=self.cleaned_data["days"])


class DeleteAccountForm(forms.Form):
    """Asks for the password, so that an open screen is not enough to lose everything."""

    password = forms.CharField(
        label="Your password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: object, user: User, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # passed on as they came
        self.user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        if not self.user.check_password(password):
            raise forms.ValidationError("This is not your password.")
        return password
