"""Warnings as the user would get them without us, and none for what only we call.

A frame of ours between torch and the user's line would be taken for that line; and what is told once for each line
would be told once more.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

from torch import nn
from torch.nn.modules import module
from torch.overrides import handle_torch_function

from .source import is_ours
from .standby import KEY
from .variables import variables

_HANDLER = handle_torch_function.__code__
_INNER = [code for code in nn.Module._call_impl.__code__.co_consts if isinstance(code, CodeType)]
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OF_ALL = [vars(module).get("_global" + name, {}) for name in _HOOKS]
_ALL = ("ignore", None, Warning, None, 0)
"""As of ``warnings.filters``: action, message, category, module, line."""
_plain: Any = warnings.warn


def _warn(message: Any, category: Any = None, stacklevel: int = 1, source: Any = None, **more: Any) -> None:
    """``warnings.warn``, for which frames do not count that are there because of us."""
    try:
        level = _level(sys._getframe(1), stacklevel) + 1
    except Exception:  # the warning matters more than its line
        level = stacklevel + 1
    _plain(message, category, level, source, **more)


_warn._torchdynamo_inline = _plain  # type: ignore[attr-defined]


def attribute() -> bool:
    """From now on frames of ours do not count, until ``restore``: not always, as torch.jit knows ``warnings.warn`` by
    its identity. One that the user has put there stays: it may call what it found there, and that may be ours. Gives
    whether it is this call that has exchanged it."""
    if warnings.warn is not _plain:
        return False
    warnings.warn = _warn
    return True


def restore(exchanged: bool) -> None:
    """With what ``attribute`` has given: passes may lie within each other."""
    if exchanged and warnings.warn is _warn:
        warnings.warn = _plain


def exchanged() -> tuple[dict[str, Any], Any, Any]:
    """What `pass.c` does the same with: where ``warn`` is, what it is, and what is put there."""
    return vars(warnings), _plain, _warn


def _level(frame: FrameType | None, level: int) -> int:
    """The level, counted from ``frame``, of the one that would be at ``level`` without us. By way of our mode a
    function of torch that is written in Python has called itself."""
    passed, twin = 0, False
    below: CodeType | None = None
    while frame is not None:
        code = frame.f_code
        passed += 1
        if twin:
            twin = False
        elif code is _HANDLER and _is_our_mode(below):
            twin = True
        elif not (is_ours(code.co_filename) or _is_for_our_hooks(frame)):
            level -= 1
            if level <= 0:
                break
        below, frame = code, frame.f_back
    return passed + max(level, 0)


def _is_our_mode(below: CodeType | None) -> bool:
    """Ours is in C, without a frame, or here; another one has a frame."""
    return below is not None and (below.co_name != "__torch_function__" or is_ours(below.co_filename))


def _is_for_our_hooks(frame: FrameType) -> bool:
    """A module with hooks has one more frame."""
    if frame.f_code not in _INNER:
        return False
    owner = variables(frame).get("self")
    if owner is None:
        return False
    own = (vars(owner).get(name, {}) for name in _HOOKS)
    return all(
        key == KEY or str(getattr(hook, "__module__", "")).startswith(__package__)
        for hooks in (*own, *_OF_ALL)
        for key, hook in hooks.items()
    )


@contextmanager
def quiet() -> Iterator[None]:
    """No warning is told. After ``warnings.catch_warnings`` those that were told once would be told again."""
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    filters.insert(0, _ALL)
    try:
        yield
    finally:
        if _ALL in filters:  # it may have been emptied meanwhile
            filters.remove(_ALL)
