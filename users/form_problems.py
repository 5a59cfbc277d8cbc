"""Shows a Problem in the form whose values caused it."""

from __future__ import annotations

from django.forms import BaseForm

from problems import Problem


def problem_show(form: BaseForm, problem: Problem) -> None:
    """Put each named fault beside its field; what belongs to no field of the form goes above it."""
    for fault in problem.errors:
        name = fault.pointer.removeprefix("/parameters").strip("/").partition("/")[0]
        form.add_error(name if name in form.fields else None, fault.detail)
    if not problem.errors:
        form.add_error(None, f"{problem.detail} {problem.hint}")
