"""Problems of share links and zips."""

from __future__ import annotations

from problems.kind import Kind

KINDS = (
    Kind(
        "share_expired",
        410,
        "Link expired",
        "This link was open until {expired_at}.",
        "Ask the person who sent it for a new one.",
    ),
    Kind(
        "share_locked",
        403,
        "Password needed",
        "This link opens with a password.",
        "Open the page of the link and type it there.",
    ),
    Kind(
        "share_no_download",
        403,
        "No download",
        "This link offers no download, or all of its downloads were taken.",
        "Ask the person who sent it.",
    ),
    Kind(
        "share_revoked",
        409,
        "Link ended",
        "The link was ended; it does not open again.",
        "Make a new link.",
    ),
    Kind(
        "too_many_shares",
        409,
        "Too many links",
        "The video has {limit} links, which is all there is room for.",
        "End those that nobody needs any more.",
    ),
    Kind(
        "archive_empty",
        404,
        "Nothing to download",
        "There is no such file among the videos chosen.",
        "Choose videos with results, or download the originals.",
    ),
    Kind(
        "archive_too_large",
        413,
        "Too many files",
        "More than {limit} files were asked for at once.",
        "Choose fewer videos.",
    ),
)
