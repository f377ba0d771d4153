"""How the script ended, as the interpreter knows it at its exit."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import torch

from .source import is_own
from .variables import variables
from .wrong import described, finite, rows

NONE = re.compile(r"\bnan\b|\binf\b|infinit|finite|invalid values", re.IGNORECASE)
"""In the message of an exception that is raised because a number is none."""
KEPT = 8000
"""Characters of a traceback, the last ones."""


def exception() -> dict[str, str] | None:
    """What left the script and ends the process: ``type``, ``message`` and ``traceback``."""
    error = _last()
    if error is None:
        return None
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"type": type(error).__name__, "message": str(error), "traceback": text[-KEPT:]}


def spoiled() -> dict[str, Any] | None:
    """What left the script complains of a number that is none: the report of the tensor of the user's, on the CPU, that
    such a number stands in and that no model with a gradient has made. The innermost function is looked at first, for
    what is made of such a tensor is further out. None where there is none."""
    error = _last()
    if error is None or not NONE.search(str(error)):
        return None
    for trace in reversed(list(_traces(error.__traceback__))):
        for name, value in variables(trace.tb_frame).items():
            if type(value) is torch.Tensor and _given(value) and not finite(value):
                detail = f"{described(value, name)}; line {trace.tb_lineno}"
                return {"origin": "input", "detail": detail, "bad_samples": rows(value)}
    return None


def _given(value: torch.Tensor) -> bool:
    """Numbers at hand that no gradient goes to."""
    return value.is_floating_point() and value.is_cpu and not value.requires_grad


def _last() -> BaseException | None:
    return getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)


def _traces(trace: TracebackType | None) -> Iterator[TracebackType]:
    """The user's own functions that were left."""
    while trace is not None:
        if is_own(trace.tb_frame.f_code.co_filename):
            yield trace
        trace = trace.tb_next
