"""The table of problems: code, HTTP status, title, sentence, hint and whether retrying helps.

Codes are part of the public contract: never renamed, never reused. `detail` says what happened and
may hold `{placeholders}` that the raiser must fill; `hint` says what the reader can do about it.
`retryable` is True where the same request or job may succeed later without a change.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry of the catalogue."""

    code: str
    status: int
    title: str
    detail: str
    hint: str
    retryable: bool = False


_REQUESTS = (
    Kind(
        "invalid_request",
        400,
        "Invalid request",
        "The request is not valid.",
        "Correct the fields listed and send it again.",
    ),
    Kind(
        "malformed_body",
        400,
        "Malformed body",
        "The request body could not be read: {reason}",
        "Send a well-formed body.",
    ),
    Kind(
        "not_authenticated",
        401,
        "Not signed in",
        "This needs a signed-in user or a valid token.",
        "Sign in, or send an Authorization: Bearer header.",
    ),
    Kind(
        "invalid_credentials",
        401,
        "Wrong name or password",
        "The name and password do not match an active account.",
        "Check both and try again.",
    ),
    Kind(
        "permission_denied",
        403,
        "Not allowed",
        "Your account may not do this.",
        "Ask an administrator for access.",
    ),
    Kind(
        "csrf_failed",
        403,
        "Security check failed",
        "The request did not carry a valid CSRF token.",
        "Reload the page and try again.",
    ),
    Kind("not_found", 404, "Not found", "There is nothing here, or it is not yours.", "Check the address."),
    Kind(
        "method_not_allowed",
        405,
        "Method not allowed",
        "This address does not support {method}.",
        "See the API documentation for the methods it has.",
    ),
    Kind(
        "not_acceptable",
        406,
        "Not acceptable",
        "The response format asked for is not available.",
        "Accept application/json.",
    ),
    Kind(
        "request_timeout",
        408,
        "Request timed out",
        "The rest of the request did not arrive in time.",
        "Send it again; an upload goes on from the bytes that arrived.",
        retryable=True,
    ),
    Kind(
        "conflict",
        409,
        "Conflict",
        "The state of the object does not allow this.",
        "Fetch its current state first.",
    ),
    Kind(
        "payload_too_large",
        413,
        "Too large",
        "The request body is larger than the {limit} bytes allowed here.",
        "Send less at once.",
    ),
    Kind(
        "unsupported_media_type",
        415,
        "Unsupported media type",
        "The content type {content_type} is not accepted here.",
        "See the API documentation for the types it takes.",
    ),
    Kind(
        "idempotency_key_invalid",
        400,
        "Wrong idempotency key",
        "An Idempotency-Key has 1 to {longest} characters.",
        "Send a short text of your own, such as a UUID.",
    ),
    Kind(
        "idempotency_key_reused",
        422,
        "Idempotency key of another request",
        "Another request was sent with this Idempotency-Key.",
        "Use a new key for each new request.",
    ),
    Kind(
        "idempotency_key_in_use",
        409,
        "Request still running",
        "A request with this Idempotency-Key is being worked on.",
        "Repeat it in a moment to get its reply.",
        retryable=True,
    ),
    Kind(
        "idempotency_reply_not_kept",
        409,
        "Reply not kept",
        "The request with this Idempotency-Key was done, but its reply holds a secret and was not kept.",
        "If the reply never arrived, undo what it made and ask again with a new key.",
    ),
    Kind(
        "throttled",
        429,
        "Too many requests",
        "Too many requests in a short time.",
        "Wait for {wait} seconds and try again.",
        retryable=True,
    ),
    Kind(
        "internal_error",
        500,
        "Internal error",
        "Something went wrong on our side.",
        "Try again; if it stays, give the request id to the administrator.",
        retryable=True,
    ),
    Kind(
        "service_unavailable",
        503,
        "Service unavailable",
        "The service cannot take this right now.",
        "Try again in a moment; nothing is lost.",
        retryable=True,
    ),
)

_ACCOUNTS = (
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

_UPLOADS = (
    Kind(
        "tus_version_unsupported",
        412,
        "Protocol version",
        "This server speaks tus 1.0.0.",
        "Send the header Tus-Resumable: 1.0.0.",
    ),
    Kind(
        "upload_length_required",
        400,
        "Length missing",
        "The upload does not say how long it is.",
        "Send Upload-Length, or Upload-Defer-Length: 1.",
    ),
    Kind(
        "upload_header_invalid",
        400,
        "Invalid upload header",
        "The header {header} is not valid.",
        "See the tus 1.0.0 protocol.",
    ),
    Kind("upload_empty", 400, "Empty file", "The file has no bytes.", "Choose a file that is not empty."),
    Kind(
        "upload_too_large",
        413,
        "File too large",
        "The file has {size} bytes; the limit is {limit}.",
        "Upload a smaller file.",
    ),
    Kind(
        "upload_offset_conflict",
        409,
        "Wrong offset",
        "The upload stands at byte {offset}.",
        "Ask for the offset with HEAD and continue there.",
        retryable=True,
    ),
    Kind(
        "upload_locked",
        423,
        "Upload busy",
        "Another connection is writing to this upload.",
        "Wait for it to end, then ask for the offset.",
        retryable=True,
    ),
    Kind(
        "upload_gone",
        410,
        "Upload gone",
        "This upload was finished, discarded or has expired.",
        "Start a new upload.",
    ),
    Kind(
        "upload_body_too_long",
        413,
        "Too many bytes",
        "The body goes past the announced length of {length} bytes.",
        "Send exactly the bytes that are left.",
    ),
    Kind(
        "upload_checksum_mismatch",
        460,
        "Checksum mismatch",
        "The bytes received do not match their checksum; none of them were kept.",
        "Send this part again.",
        retryable=True,
    ),
    Kind(
        "quota_exceeded",
        413,
        "Quota exceeded",
        "This needs {needed} bytes; of your {limit}, {used} are used and {reserved} are held for jobs that go on.",
        "Delete what you no longer need, wait for your jobs, or ask for more space.",
    ),
    Kind(
        "storage_full",
        507,
        "Storage full",
        "The server has no room for this.",
        "Try again later; the administrator has been told by the health check.",
        retryable=True,
    ),
)

_BUCKET = (
    Kind(
        "storage_unavailable",
        503,
        "Storage unavailable",
        "The storage that holds the files does not answer.",
        "Try again in a minute. If it stays so, tell the administrator.",
        retryable=True,
    ),
    Kind(
        "storage_damaged",
        500,
        "Storage damaged",
        "The storage gave back other bytes than were stored.",
        "Ask the administrator to check the storage.",
    ),
)

_SHARING = (
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

_MEDIA = (
    Kind(
        "not_a_video",
        422,
        "Not a video",
        "The file is not a video we can read.",
        "Upload an mp4, mov, avi, webm, mkv, flv, ts, mpg, wmv, 3gp or ogv file.",
    ),
    Kind(
        "not_an_asset",
        422,
        "Neither picture nor subtitles",
        "The file is no picture and no file of subtitles that we can read.",
        "Upload a png, jpg or webp picture, or subtitles as srt, vtt or ass.",
    ),
    Kind(
        "subtitles_empty",
        422,
        "No subtitles",
        "The file has no line of text with a time.",
        "Check that it holds times and lines, and upload it again.",
    ),
    Kind(
        "too_many_assets",
        409,
        "Too many files",
        "You have {limit} pictures and files of subtitles, which is all there is room for.",
        "Delete those you no longer need.",
    ),
    Kind(
        "unsupported_format",
        422,
        "Unsupported format",
        "The container format {format} is not accepted.",
        "Convert it to mp4 or mkv first.",
    ),
    Kind(
        "unsupported_codec",
        422,
        "Unsupported codec",
        "The {kind} codec {codec} is not accepted.",
        "Export the file again with a common codec, such as H.264 with AAC.",
    ),
    Kind(
        "no_video_stream",
        422,
        "No picture",
        "The file has no video stream.",
        "Upload a file with a picture; a sound file alone cannot be processed.",
    ),
    Kind("no_audio_stream", 422, "No sound", "The video has no audio stream.", "Choose a video with sound."),
    Kind(
        "input_truncated",
        422,
        "Incomplete file",
        "The file is incomplete: its index or its end is missing.",
        "Upload or export it again.",
    ),
    Kind(
        "input_corrupt",
        422,
        "Damaged file",
        "The file is damaged and could not be decoded.",
        "Export it again from the source.",
    ),
    Kind(
        "input_encrypted",
        422,
        "Encrypted file",
        "The file is encrypted and cannot be decoded.",
        "Remove the protection at its source.",
    ),
    Kind(
        "too_large_dimensions",
        422,
        "Picture too large",
        "The picture has {width}x{height} pixels; the limit is {limit} pixels in all.",
        "Scale it down before uploading.",
    ),
    Kind(
        "too_many_streams",
        422,
        "Too many streams",
        "The file has {count} streams; the limit is {limit}.",
        "Remove the streams you do not need.",
    ),
    Kind(
        "implausible_timing",
        422,
        "Implausible timing",
        "The file's duration or frame rate makes no sense: {reason}",
        "Export it again from the source.",
    ),
    Kind(
        "too_long",
        422,
        "Too long",
        "The video lasts {duration} s; the limit is {limit} s.",
        "Cut it into parts first.",
    ),
    Kind(
        "invalid_parameters",
        422,
        "Invalid parameters",
        "The parameters do not fit this operation.",
        "Correct the fields listed.",
    ),
    Kind(
        "parameters_do_not_fit",
        422,
        "Does not fit the video",
        "{reason}",
        "Change the parameters to match the video.",
    ),
    Kind(
        "unknown_operation",
        422,
        "Unknown operation",
        "There is no operation called {type}.",
        "See the list at GET /api/v1/operations.",
    ),
    Kind(
        "preset_disabled",
        409,
        "Preset switched off",
        "This preset is switched off.",
        "Switch it on, or choose another one.",
    ),
    Kind(
        "too_many_presets",
        409,
        "Too many presets",
        "You have {limit} presets, and that is the most.",
        "Delete one that you do not need any more.",
    ),
    Kind(
        "video_not_ready",
        409,
        "Video not ready",
        "The video is still being inspected.",
        "Wait until its status is ready.",
        retryable=True,
    ),
    Kind(
        "video_failed",
        409,
        "Video not usable",
        "The video could not be read, so nothing can be made from it.",
        "Upload it again.",
    ),
)

_WEBHOOKS = (
    Kind(
        "webhook_limit_reached",
        409,
        "Too many webhooks",
        "There are {limit} webhooks already, and no more are allowed.",
        "Delete one that is not needed.",
    ),
    Kind(
        "webhook_is_off",
        409,
        "Webhook switched off",
        "The webhook is switched off, so nothing is sent to it.",
        "Switch it on first.",
    ),
)

_JOBS = (
    Kind(
        "job_state_conflict",
        409,
        "Job state",
        "A job that is {status} cannot be {action}.",
        "Fetch the job to see its state.",
    ),
    Kind(
        "encoder_failed",
        500,
        "Encoder failed",
        "The encoder stopped with an error.",
        "Open the log for its last lines; try another format or quality.",
    ),
    Kind(
        "encoder_crashed",
        500,
        "Encoder crashed",
        "The encoder was ended by signal {signal}.",
        "It is tried again by itself; if it stays, try other parameters.",
        retryable=True,
    ),
    Kind(
        "encoder_stalled",
        500,
        "Encoder stalled",
        "The encoder made no progress for {seconds} s.",
        "It is tried again by itself.",
        retryable=True,
    ),
    Kind(
        "out_of_memory",
        500,
        "Out of memory",
        "The encoder ran into its memory limit.",
        "Ask for a smaller picture size.",
    ),
    Kind(
        "disk_full",
        507,
        "Disk full",
        "The server's disk filled up while working.",
        "It continues by itself when there is room.",
        retryable=True,
    ),
    Kind(
        "output_too_large",
        422,
        "Result too large",
        "The result grew past {limit} bytes.",
        "Ask for a smaller size or lower quality.",
    ),
    Kind(
        "output_invalid",
        500,
        "Result not right",
        "The result did not pass its check: {reason}",
        "It was not published; try other parameters.",
    ),
    Kind(
        "output_black",
        500,
        "Result is black",
        "The result is black where its source is not: {reason}",
        "It was not published; try another format or quality, and tell the administrator.",
    ),
    Kind(
        "output_silent",
        500,
        "Result is silent",
        "The result is silent where its source is not: {reason}",
        "It was not published; try another format, and tell the administrator.",
    ),
    Kind(
        "input_ends_early",
        422,
        "Damaged near its end",
        "The video should last {duration} s and can be read only up to {readable} s.",
        "Keep the part that can be read, or upload the video again.",
    ),
    Kind(
        "copy_impossible",
        422,
        "Cannot be copied",
        "A stream of the video cannot be copied into this kind of file.",
        "Let it be encoded: choose a quality.",
    ),
    Kind(
        "timestamps_unusable",
        422,
        "Times missing",
        "The video does not say when its frames are shown, so they cannot be copied.",
        "Let it be encoded: choose a quality.",
    ),
    Kind(
        "stream_missing",
        422,
        "Stream missing",
        "The video's file does not have the streams this was planned for.",
        "Run it again, so that it is planned anew; if it stays, upload the video again.",
    ),
    Kind(
        "subtitles_not_convertible",
        422,
        "Subtitles cannot be converted",
        "Subtitles that are pictures cannot become text, nor text pictures.",
        "Choose MKV, which carries both kinds.",
    ),
    Kind(
        "picture_not_encodable",
        422,
        "Codec cannot carry the picture",
        "The codec cannot carry this picture: {reason}",
        "Choose another size, frame rate or codec.",
    ),
    Kind(
        "sound_not_encodable",
        422,
        "Codec cannot carry the sound",
        "The codec cannot carry this sound: {reason}",
        "Choose another format or bit rate.",
    ),
    Kind(
        "filter_failed",
        422,
        "Change cannot be made",
        "The change asked for cannot be made on this picture or sound, which may vary within the video.",
        "Open the log for the reason; change the parameters, or resize the video first.",
    ),
    Kind(
        "nothing_to_write",
        422,
        "Nothing in this part",
        "No picture and no sound lies in the part that was asked for.",
        "Choose another part of the video.",
    ),
    Kind(
        "tool_missing",
        500,
        "Tool missing",
        "The media tool could not be started.",
        "Ask the administrator to look at the health page: ffmpeg or ffprobe is missing.",
    ),
    Kind(
        "tool_lacks",
        500,
        "Tool too small",
        "The ffmpeg of this server has no {what}.",
        "Ask the administrator to use the ffmpeg that comes with this site.",
    ),
    Kind(
        "storage_unwritable",
        500,
        "Storage not writable",
        "The result could not be written to the storage.",
        "It is tried again by itself; if it stays, ask the administrator to check the storage.",
        retryable=True,
    ),
    Kind(
        "storage_failed",
        500,
        "Storage failed",
        "The storage did not answer while the video was read or written.",
        "It is tried again by itself; if it stays, ask the administrator to check the storage.",
        retryable=True,
    ),
    Kind(
        "server_overloaded",
        503,
        "Server overloaded",
        "The server had too much to do at once.",
        "It is tried again by itself.",
        retryable=True,
    ),
    Kind(
        "worker_lost",
        500,
        "Interrupted",
        "The worker doing this went away.",
        "It is tried again by itself.",
        retryable=True,
    ),
    Kind(
        "source_missing",
        500,
        "Source missing",
        "The video's file is not in the storage.",
        "Ask the administrator to check the storage.",
    ),
    Kind(
        "part_missing",
        500,
        "Part missing",
        "A part of the result that was made before is not in the storage.",
        "It is made again; nothing needs to be done.",
        retryable=True,
    ),
    Kind(
        "parts_do_not_join",
        500,
        "Parts do not join",
        "The parts in which the picture was encoded do not fit together: {reason}",
        "It is encoded again in one piece; nothing needs to be done.",
        retryable=True,
    ),
)

KINDS: dict[str, Kind] = {
    kind.code: kind
    for group in (_REQUESTS, _ACCOUNTS, _UPLOADS, _BUCKET, _SHARING, _MEDIA, _WEBHOOKS, _JOBS)
    for kind in group
}
