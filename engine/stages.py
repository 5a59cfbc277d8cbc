"""Names the stages of running work for whoever watches, such as a trace; the engine knows no watcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

# Gets a stage's name and what is worth telling of it; entered before the stage and left after it.
Watcher = Callable[[str, Mapping[str, str]], AbstractContextManager[object]]

_watcher: ContextVar[Watcher | None] = ContextVar("engine_watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tells `watcher` of every stage inside the `with` block, in this thread."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def stage(name: str, **told: str) -> AbstractContextManager[object]:
    """Around one stage: a run of a tool, a check of a result."""
    watcher = _watcher.get()
    return nullcontext() if watcher is None else watcher(name, told)
