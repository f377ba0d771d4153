"""How the script ended, as the interpreter knows it at its exit."""

from __future__ import annotations

import sys
import traceback

KEPT = 8000
"""Characters of a traceback, the last ones."""


def exception() -> dict[str, str] | None:
    """What left the script and ends the process: ``type``, ``message`` and ``traceback``."""
    error = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if error is None:
        return None
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"type": type(error).__name__, "message": str(error), "traceback": text[-KEPT:]}
