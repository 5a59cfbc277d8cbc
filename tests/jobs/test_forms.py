"""Every operation has a form that people can read."""

from __future__ import annotations

import pytest

from engine import catalogue
from jobs.forms import OperationForm
from tests.engine.test_plans import media

ANOTHER = "vid_" + "0" * 32


@pytest.mark.parametrize("type_", list(catalogue.operations()))
def test_every_operation_has_a_form(type_: str) -> None:
    form = OperationForm(type_, media())
    assert set(form.fields) == set(catalogue.operation_for(type_).Parameters.model_fields)
    for name, field in form.fields.items():
        assert field.label, name
        assert str(field.help_text).endswith("."), name
        assert f'name="{type_}-{name}"' in str(form[name])


def test_what_a_form_sends_untouched_is_understood() -> None:
    needs: dict[str, dict[str, object]] = {
        "convert": {"format": "mkv"},
        "compress": {"target_size": "20 MB"},
        "crop": {"auto": True},
        "extract_audio": {"format": "mp3"},
        "join": {"after": [ANOTHER]},
        "pipeline": {"steps": [{"type": "mute"}]},
        "replace_audio": {"sound": ANOTHER},
        "resize": {"width": 320},
        "rotate": {"flip": "vertical"},
        "speed": {"factor": 2},
        "trim": {"start": 1},
        "watermark": {"text": "Mine"},
    }
    for type_ in (name for name, operation in catalogue.operations().items() if operation.form):
        needed = needs.get(type_, {})
        form = OperationForm(type_, media())
        sent = {f"{type_}-{name}": field.initial or "" for name, field in form.fields.items()}
        filled = OperationForm(type_, media(), data=sent).parameters()
        assert catalogue.parameters_for(type_, {**filled, **needed}) == catalogue.parameters_for(
            type_, needed
        )


def test_an_empty_choice_says_what_it_means() -> None:
    html = str(OperationForm("rotate", media())["degrees"])
    assert "Not turned" in html
    assert '<option value="90">90</option>' in html


def test_what_few_people_need_is_folded_away() -> None:
    form = OperationForm("convert", media())
    assert [bound.name for bound in form.plain_fields] == ["format", "video_codec", "quality"]
    assert "crf" in [bound.name for bound in form.advanced_fields]
    assert not OperationForm("mute", media()).advanced_fields


def test_what_is_typed_as_text_reaches_the_engine() -> None:
    typed = {"compress-target_size": "25 MB", "thumbnail-times": "1, 00:00:02.5", "convert-channels": "2"}
    cases: dict[str, dict[str, object]] = {
        "compress": {"target_size": 25_000_000},
        "thumbnail": {"times": (1.0, 2.5)},
        "convert": {"channels": 2},
    }
    for type_, expected in cases.items():
        filled = OperationForm(type_, media(), data={**typed, "convert-format": "mp4"}).parameters()
        read = catalogue.parameters_for(type_, filled).model_dump()
        assert expected.items() <= read.items()
