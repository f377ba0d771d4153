"""``model.fit(..., callbacks=[NnwatchCallback()])``, for Keras 3 on torch."""

from __future__ import annotations

from typing import Any

from keras.callbacks import Callback

import nnwatch


class NnwatchCallback(Callback):
    """The logs of each epoch are drawn under their own names."""

    def set_model(self, model: Any) -> None:
        """Called by ``fit`` before it begins."""
        super().set_model(model)
        nnwatch.watch(model)
