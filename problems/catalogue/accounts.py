"""Problems of accounts, sessions and tokens."""

from __future__ import annotations

from problems.kind import Kind

KINDS = (
    Kind("username_taken", 400, "Name taken", "This user name is already in use.", "Choose another one."),
    Kind(
        "email_taken",
        400,
        "Address taken",
        "This e-mail address is already in use.",
        "Sign in, or use another address.",
    ),
    Kind(
        "wrong_password",
        400,
        "Wrong password",
        "The current password is not right.",
        "Type the password you sign in with now.",
    ),
    Kind(
        "weak_password",
        400,
        "Password too weak",
        "The new password is not accepted: {reason}",
        "Choose a longer and less common one.",
    ),
)
