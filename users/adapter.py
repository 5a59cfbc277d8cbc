"""Where allauth asks the site: what a new password set through its pages entails."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter

from users.models import User
from users.services import tokens_revoke_all


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    def set_password(self, user: User, password: str) -> None:
        """Also ends the tokens: whoever resets a password may do so because somebody else has one.

        Browser sessions end by themselves, as they carry a hash of the password.
        """
        super().set_password(user, password)
        tokens_revoke_all(user=user)
