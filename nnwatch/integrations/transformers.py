"""``Trainer(..., callbacks=[NnwatchCallback()])``, of Hugging Face and of what is built on it (TRL, PEFT)."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

import nnwatch


class NnwatchCallback(TrainerCallback):
    """What the Trainer logs is drawn under its own name."""

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        nnwatch.watch(kwargs.get("model"))
