"""``Accelerator(log_with=NnwatchTracker())``, and ``accelerator.init_trackers("name")`` before the training."""

from __future__ import annotations

from typing import Any

from accelerate.tracking import GeneralTracker

import nnwatch


class NnwatchTracker(GeneralTracker):
    """What is given to ``accelerator.log`` is drawn under its own name."""

    name = "nnwatch"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        nnwatch.watch()

    @property
    def tracker(self) -> Any:
        """What ``accelerator.get_tracker("nnwatch", unwrap=True)`` gives: ``tracker.log(name=value)``."""
        return nnwatch

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Nothing: settings are read from the optimizers and loaders themselves."""

    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Nothing: the probes have heard it from ``accelerator.log`` already, and count the steps themselves."""
