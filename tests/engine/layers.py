"""The layers of the sandbox that this machine allows, and a way to use one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from engine.sandbox import choice, starting
from engine.sandbox.choice import Choice, prove
from engine.sandbox.setting_up import LANDLOCK, NAMESPACES


def _holds(layer: str) -> bool:
    try:
        prove(layer)
    except OSError:
        return False
    finally:
        starting.close()
    return True


LAYERS = [layer for layer in (NAMESPACES, LANDLOCK) if _holds(layer)]


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes the runner use one layer."""

    def use(layer: str) -> None:
        monkeypatch.setattr(choice, "_chosen", Choice(layer, {}, {}))

    yield use
    starting.close()
