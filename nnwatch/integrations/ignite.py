"""``NnwatchHandler().attach(trainer)``"""

from __future__ import annotations

from ignite.engine import Engine

import nnwatch


class NnwatchHandler:
    """The metrics of trainer and evaluators are drawn under their own names, after each of their epochs."""

    def attach(self, engine: Engine) -> None:
        nnwatch.watch()
