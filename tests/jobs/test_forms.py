"""Every operation has a form that people can read."""

from __future__ import annotations

import pytest

from engine import catalogue
from jobs.forms import OperationForm
from tests.engine.test_plans import media


@pytest.mark.parametrize("type_", list(catalogue.operations()))
def test_every_operation_has_a_form(type_: str) -> None:
    form = OperationForm(type_, media())
    assert set(form.fields) == set(catalogue.operation_for(type_).Parameters.model_fields)
    for name, field in form.fields.items():
        assert field.label, name
        assert str(field.help_text).endswith("."), name
        assert f'name="{type_}-{name}"' in str(form[name])


def test_what_a_form_sends_untouched_is_understood() -> None:
    for type_, needed in {"gif": {}, "loudness": {}, "watermark": {"text": "Mine"}, "mute": {}}.items():
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
