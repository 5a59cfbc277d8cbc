"""The sixty-four hostile cases: what comes of each, and the tests that show it.

A test is named `folder/file.py::name`, with the class where it has one and, in brackets, a word that stands
in the file where one of many parameters is meant. docs/sandbox.md has the same table, made by
`python -m tests.hostile.cases docs/sandbox.md`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

HOSTILE, MORE, ALONE = (
    "engine/test_hostile.py",
    "engine/test_hostile_more.py",
    "engine/test_hostile_sandbox.py",
)
INTAKE, SMALL = "engine/test_intake.py", "engine/test_small_files.py"
TUS, HTTP, EVENTS = "videos/test_tus.py", "hostile/test_http.py", "jobs/test_events.py"
OUTBOUND, SOCKETS, WORKER = (
    "videos/test_outbound.py",
    "hostile/test_sockets.py",
    "hostile/test_worker_lives.py",
)
EDGE, AUTH = "embedded/test_edge.py", "users/test_auth_api.py"
FILES, MORE_FILES = f"{HOSTILE}::test_hostile_files", f"{MORE}::test_more_hostile_files"
SMALL_FILES = f"{MORE}::test_hostile_small_files"
NONE, ALL = f"{INTAKE}::test_what_is_no_video", f"{WORKER}::test_after_every_hostile_file"
TRICKS, CALLS = f"{ALONE}::test_another_tenants_file_stays_unread", f"{ALONE}::test_no_packet_leaves"


class Case(NamedTuple):
    """What is sent, what comes of it (a code of the catalogue where there is one), and who shows it."""

    what: str
    response: str
    tests: tuple[str, ...]


CASES: dict[int, Case] = {
    # Containers and decoders.
    1: Case(
        "HLS called .mp4 that leads to another tenant's file",
        "`unsupported_format`",
        (f"{INTAKE}::test_a_playlist_never_opens_another_file", f"{TRICKS}[hls]"),
    ),
    2: Case(
        "HLS that leads to an address",
        "`unsupported_format`, no packet leaves",
        (f"{HOSTILE}::test_no_file_makes_a_call[hls]", f"{CALLS}[hls]"),
    ),
    3: Case(
        "ffconcat",
        "`unsupported_format`",
        (
            f"{INTAKE}::test_a_playlist_never_opens_another_file[ffconcat]",
            f"{FILES}[3 ffconcat",
            f"{TRICKS}[ffconcat]",
        ),
    ),
    4: Case(
        "DASH, SMIL, SDP, M3U",
        "`unsupported_format`, `not_a_video`",
        (
            f"{FILES}[4 SMIL]",
            f"{FILES}[4 M3U",
            f"{MORE_FILES}[4 SDP]",
            f"{MORE_FILES}[4 DASH",
            f"{TRICKS}[dash]",
            f"{CALLS}[dash]",
        ),
    ),
    5: Case(
        "AVI with a playlist in its subtitles (GAB2)",
        "taken without them, no packet leaves",
        (f"{HOSTILE}::test_no_file_makes_a_call[avi with a playlist]", ALL),
    ),
    6: Case(
        "QuickTime with its pictures in another file (dref)",
        "`input_truncated`",
        (f"{FILES}[6 pictures in another file]", f"{ALONE}::test_a_reference_in_quicktime_stays_unread"),
    ),
    7: Case(
        "SVG, HTML, PDF, ZIP, ELF",
        "`not_a_video`, `unsupported_format`",
        (
            f"{FILES}[7 HTML]",
            f"{FILES}[7 ZIP]",
            f"{NONE}[pdf]",
            f"{NONE}[svg]",
            f"{NONE}[elf]",
            f"{MORE_FILES}[7 SVG",
        ),
    ),
    8: Case(
        "a codec off the list, such as MagicYUV",
        "`unsupported_codec`",
        (f"{INTAKE}::test_a_codec_off_the_list[magicyuv]",),
    ),
    9: Case(
        "a picture that would fill the memory",
        "`too_large_dimensions`",
        (f"{INTAKE}::test_a_picture_that_would_fill_the_memory",),
    ),
    10: Case(
        "a picture of one column, of no size, of odd sides",
        "taken, or a code",
        (
            f"{FILES}[10 a picture of one column]",
            f"{FILES}[10 odd sides]",
            f"{FILES}[10 no size at all]",
            f"{MORE_FILES}[10 as wide",
        ),
    ),
    11: Case("the size changes in the middle", "taken", (f"{FILES}[11 the size changes",)),
    12: Case(
        "60 000 frames a second", "`implausible_timing`", (f"{INTAKE}::test_sixty_thousand_frames_a_second",)
    ),
    13: Case(
        "a gap of a day in the times", "`implausible_timing`, `too_long`", (f"{INTAKE}::test_a_gap_in_time",)
    ),
    14: Case(
        "it lasts 2^63, NaN, -1, for ever",
        "measured anew",
        (f"{FILES}[14 it lasts 2^63]", f"{FILES}[14 no duration"),
    ),
    15: Case(
        "a hundred thousand fragments, a million samples",
        "`no_video_stream`, `input_corrupt`",
        (f"{FILES}[15 a hundred thousand", f"{MORE_FILES}[15 a million"),
    ),
    16: Case(
        "a thousand streams",
        "`too_many_streams`",
        (f"{INTAKE}::test_too_many_streams", f"{MORE_FILES}[16 a thousand tracks]"),
    ),
    17: Case(
        "an index of 500 MB, or at the end",
        "`input_truncated`; at the end is usual",
        (f"{FILES}[17 an index of 500 MB", f"{INTAKE}::test_every_promised_container_is_taken_by_content"),
    ),
    18: Case(
        "boxes in boxes, of size 0, 1, too large",
        "`not_a_video`, `no_video_stream`, `input_truncated`",
        (
            f"{FILES}[18 ten thousand",
            f"{FILES}[18 a box of size 1",
            f"{FILES}[18 a box of size 0]",
            f"{MORE_FILES}[18 a box",
        ),
    ),
    19: Case(
        "an EBML element of 2^56 bytes, clusters without a size",
        "`not_a_video`; taken",
        (f"{FILES}[19 an EBML element", f"{MORE_FILES}[19 clusters"),
    ),
    20: Case(
        "half a file",
        "`input_truncated`",
        (f"{INTAKE}::test_half_a_file", f"{INTAKE}::test_half_a_file_with_its_index_in_front"),
    ),
    21: Case(
        "random damage",
        "a code, no crash, no hang",
        (
            "engine/test_fuzz.py::test_five_hundred_damaged_files",
            f"{HOSTILE}::test_scratched_files_end_in_an_answer",
        ),
    ),
    22: Case("50 GB of nothing", "`not_a_video`", (f"{FILES}[22 a sparse file",)),
    23: Case(
        "empty, one byte, only the first box",
        "`upload_empty`, `not_a_video`, `input_truncated`",
        (f"{NONE}[empty]", f"{MORE_FILES}[23 one byte]", f"{FILES}[23 only its first box]"),
    ),
    24: Case(
        "only sound, only pictures, only a cover",
        "`no_video_stream`; taken",
        (f"{INTAKE}::test_sound_alone", f"{MORE_FILES}[24 a picture", f"{FILES}[24 only cover art]"),
    ),
    25: Case(
        "10 bits, HDR, alpha, uneven, rotated, negative times",
        "a right result",
        (f"{HOSTILE}::test_odd_sources_give_whole_results", "engine/test_properties.py"),
    ),
    26: Case("encrypted", "`input_encrypted`", (f"{INTAKE}::test_an_encrypted_file",)),
    27: Case(
        "scripts and bombs in subtitles",
        "only words are left",
        (
            "engine/test_words.py::test_only_words_are_left",
            "engine/test_words.py::test_there_are_never_too_many_at_once",
            f"{MORE_FILES}[27 twenty thousand lines]",
        ),
    ),
    28: Case("an attachment called ../../evil.html", "never unpacked", (f"{FILES}[28 an attachment",)),
    29: Case(
        "markup, NUL, a megabyte in the title",
        "kept as plain words, cut",
        (f"{FILES}[29 a title of a megabyte]", f"{HOSTILE}::test_what_a_title_holds_is_kept_harmless"),
    ),
    30: Case(
        "a page behind the video",
        "served as what the probe found, `nosniff`",
        (
            f"{FILES}[30 a page behind the video]",
            f"{EDGE}::test_the_edge_serves_the_bytes_with_the_headers_of_the_site",
        ),
    ),
    31: Case(
        "a zip or gzip bomb as subtitles",
        "`not_an_asset`",
        (f"{SMALL_FILES}[31 gzip]", f"{SMALL_FILES}[31 zip]"),
    ),
    32: Case(
        "a bomb of moving pictures",
        "`not_an_asset`, `too_large_dimensions`, or one picture of it",
        (
            f"{SMALL_FILES}[32 GIF]",
            f"{SMALL_FILES}[32 a PNG",
            f"{SMALL_FILES}[32 a WebP",
            f"{MORE_FILES}[32 a moving",
            f"{SMALL}::test_a_picture_that_unpacks_to_gigabytes_is_refused",
        ),
    ),
    # Names and arguments.
    33: Case("a file called -y.mp4", "a name", (f"{HTTP}::test_names_stay_words[-y.mp4",)),
    34: Case("a file called a%03d.png", "a name", (f"{HTTP}::test_names_stay_words[a%03d.png",)),
    35: Case("concat:a|b, http://…, x:y.mp4", "a name", (f"{HTTP}::test_names_stay_words[concat:a|b",)),
    36: Case(
        "../, NUL, line ends, 300 bytes, twins, CON, a dot at the end",
        "a name",
        (
            f"{HTTP}::test_names_stay_words",
            f"{HTTP}::test_twins_in_unicode_are_one_name",
            "videos/test_names.py::test_a_download_never_names_a_path",
        ),
    ),
    37: Case(
        "quotes and line ends in Content-Disposition",
        "escaped",
        (
            f"{HTTP}::test_names_stay_words[Set-Cookie",
            "videos/test_videos_api.py::TestFiles::test_an_original_downloads_through_the_edge",
        ),
    ),
    38: Case(
        "filters in the text of a watermark",
        "drawn as words",
        (
            "engine/test_watermark.py::test_text_is_only_text",
            "engine/test_machinery.py::test_filter_values_cannot_break_out",
        ),
    ),
    39: Case(
        "NaN, -1, 1e308, an end before its beginning",
        "`invalid_parameters`",
        (
            f"{HTTP}::test_numbers_that_cannot_be",
            f"{HTTP}::test_an_end_before_its_beginning",
            "engine/test_parameters.py::test_a_nonsense_width_is_refused",
        ),
    ),
    40: Case(
        "unknown keys in a preset or in parameters",
        "`invalid_parameters`",
        (
            "engine/test_parameters.py::test_a_wrong_field_is_pointed_at",
            "videos/test_presets.py::TestOnesOwn::test_bad_ones_are_refused",
        ),
    ),
    # Uploads and HTTP.
    41: Case(
        "Upload-Length -1, 2^63, absent, changed",
        "400 `upload_header_invalid`, `upload_length_required`",
        (f"{TUS}::TestCreate::test_refuses_nonsense", f"{TUS}::TestAppend::test_length_is_told_once"),
    ),
    42: Case(
        "metadata of bad Base64, twice, of a megabyte",
        "400 `upload_header_invalid`",
        (
            f"{TUS}::TestCreate::test_refuses_nonsense",
            f"{HTTP}::test_a_megabyte_of_metadata",
            "videos/test_names.py::test_any_metadata_header_is_read_or_refused",
        ),
    ),
    43: Case(
        "a wrong offset, two writers",
        "409 `upload_offset_conflict`; one 204",
        (f"{TUS}::TestAppend::test_wrong_offset", f"{TUS}::TestBrokenConnections::test_two_writers"),
    ),
    44: Case(
        "bytes after the end",
        "404, 410",
        (
            f"{TUS}::TestTermination::test_frees_the_bytes",
            f"{TUS}::TestTermination::test_leaves_a_finished_video",
        ),
    ),
    45: Case("a wrong checksum", "460, nothing kept", (f"{TUS}::TestChecksum::test_wrong_keeps_nothing",)),
    46: Case(
        "a body longer than the length",
        "413, the offset is right",
        (f"{TUS}::TestAppend::test_body_past_the_length",),
    ),
    47: Case(
        "chunks without a length",
        "taken up to the length",
        (f"{TUS}::TestAppend::test_chunked_body_past_the_length",),
    ),
    48: Case(
        "cut anywhere",
        "what arrived is kept",
        (
            f"{TUS}::TestBrokenConnections::test_what_arrived_before_a_cut_is_kept",
            f"{TUS}::TestBrokenConnections::test_a_cut_drops_what_a_checksum_covers",
        ),
    ),
    49: Case(
        "a byte a second",
        "given up, room for the next",
        (
            f"{TUS}::TestBrokenConnections::test_a_stalled_body_is_given_up",
            f"{TUS}::TestBrokenConnections::test_a_silent_writer_makes_room",
        ),
    ),
    50: Case(
        "many uploads without bytes",
        "413 `quota_exceeded` by declared size",
        (
            f"{TUS}::TestCreate::test_declared_bytes_count_at_once",
            f"{TUS}::TestCreate::test_racing_creations_share_one_quota",
        ),
    ),
    51: Case("the upload of somebody else", "404", (f"{TUS}::TestDoor::test_strangers_and_others",)),
    52: Case(
        "the disk is full in the middle",
        "507 `storage_full`, the offset is right",
        (f"{TUS}::TestBrokenConnections::test_a_full_disk_tells_the_true_offset",),
    ),
    53: Case(
        "smuggling: two lengths, a length and chunks",
        "400, one answer, the connection is closed",
        (f"{HTTP}::test_smuggling",),
    ),
    54: Case(
        "forged X-Accel-Redirect, X-Forwarded-For",
        "replaced",
        (
            f"{EDGE}::test_a_client_cannot_ask_for_a_file_by_header",
            f"{EDGE}::test_what_a_client_says_about_itself_is_replaced",
            "e2e/test_bad_input.py::test_media_paths_are_not_reachable_directly",
        ),
    ),
    55: Case(
        "JSON of depth 100 000, endless numbers, keys twice",
        "400, 413, 422",
        (f"{HTTP}::test_bodies", f"{HTTP}::test_a_body_larger_than_any_request"),
    ),
    56: Case(
        "pages of 10^9, sorting by secrets, slow patterns",
        "at most 200, `invalid_request`",
        (f"{HTTP}::test_queries", f"{HTTP}::test_a_page_has_an_end"),
    ),
    57: Case(
        "one Idempotency-Key, two bodies",
        "422 `idempotency_key_reused`",
        ("videoproc/test_idempotency.py::test_another_request_with_the_key_is_refused",),
    ),
    # Sockets, webhooks, credentials.
    58: Case(
        "a socket from no page or another's",
        "403",
        (
            f"{EVENTS}::test_a_foreign_page_cannot_listen",
            f"{SOCKETS}::test_a_page_from_elsewhere_cannot_listen",
        ),
    ),
    59: Case(
        "a frame of 2 MB, a flood, another's video",
        "closed: 1009, 1008, 4403",
        (
            f"{SOCKETS}::test_a_frame_of_two_megabytes_ends_its_socket_only",
            f"{SOCKETS}::test_ten_thousand_messages_end_their_socket_only",
            f"{EVENTS}::test_a_chatterbox_is_cut_off",
            f"{EVENTS}::test_subscribing_to_a_strangers_video_ends_the_socket",
        ),
    ),
    60: Case(
        "a socket after sign-out",
        "closed within 30 s: 4401",
        (f"{SOCKETS}::test_a_socket_after_sign_out", f"{EVENTS}::test_sessions_that_ended_may_not_watch"),
    ),
    61: Case(
        "webhooks inwards: metadata, mapped, rebinding, redirects, endless replies",
        "refused, cut off",
        (
            f"{OUTBOUND}::test_addresses_that_are_not_public",
            f"{OUTBOUND}::test_a_name_is_looked_up_once_and_what_was_checked_is_called",
            f"{OUTBOUND}::test_redirects_are_not_followed",
            f"{OUTBOUND}::test_packed_replies_are_not_unpacked",
            f"{OUTBOUND}::test_an_endless_reply_is_cut_off",
            f"{OUTBOUND}::test_a_reply_that_drips_is_cut_off",
        ),
    ),
    62: Case(
        "passwords of 73 bytes, a megabyte, with NUL",
        "all of it counts; 400, 401",
        (
            f"{HTTP}::test_passwords_that_are_none",
            f"{AUTH}::TestRegister::test_all_of_a_long_password_counts",
            f"{AUTH}::TestLogin::test_odd_passwords_are_just_wrong",
        ),
    ),
    63: Case(
        "a token after its end, in other spellings",
        "401 `not_authenticated`",
        (
            f"{HTTP}::test_a_revoked_token_stays_revoked",
            f"{AUTH}::TestToken::test_anything_else_is_401_with_a_challenge",
        ),
    ),
    64: Case(
        "forged messages in the broker",
        "ignored and logged",
        (f"{WORKER}::test_forged_messages_in_the_broker",),
    ),
}

BEGIN, END = "<!-- the cases -->\n", "<!-- end of the cases -->\n"


def table() -> str:
    """The cases as a table for people."""
    rows = ["| | what is sent | what comes of it | shown by |", "|---|---|---|---|"]
    for number, case in CASES.items():
        shown = ", ".join(dict.fromkeys(f"`{test.partition('[')[0]}`" for test in case.tests))
        rows.append(f"| {number} | {case.what} | {case.response} | {shown} |".replace("a|b", "a\\|b"))
    return "\n".join(rows) + "\n"


def with_table(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_table(page.read_text()))
