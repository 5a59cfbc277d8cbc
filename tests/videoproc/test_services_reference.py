"""docs/services.md says what the code says."""

from __future__ import annotations

from tests.videoproc import services_reference


def test_the_reference_is_current() -> None:
    page = services_reference.PAGE.read_text(encoding="utf-8")
    _, mark, generated = page.partition(services_reference.MARK)
    assert mark
    assert generated.strip() == services_reference.reference().strip(), (
        "run `python -m tests.videoproc.services_reference`"
    )


def test_every_public_function_says_what_it_means() -> None:
    silent = [
        f"{module.parent.name}/{module.name}: {function.name}"
        for room in services_reference.ROOMS
        for module in services_reference.modules(room)
        for function in services_reference.functions(module)
        if "(says its name)" in services_reference.entry(function)
    ]
    assert silent == []
