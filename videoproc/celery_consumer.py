"""How a worker takes messages from the broker: one that makes no sense is thrown away, and that is all.

Celery expects whoever can write to the broker to write what Celery would. A message of another shape ends its
worker, and on the way out goes back into the queue, where it ends the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

log = logging.getLogger(__name__)


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """The setting `worker_consumer` names it."""

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], None]:
        """Called by Celery, once for each connection to the broker."""
        handle = super().create_task_handler(*arguments, **options)
        connection_errors = self.connection_errors

        def handle_or_throw_away(message: Any) -> None:
            try:
                handle(message)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                # Some would count as a lost connection, which is then made anew for the same message.
                log.exception("a message that is no task of ours was thrown away")
                message.reject_log_error(log, connection_errors)

        return handle_or_throw_away
