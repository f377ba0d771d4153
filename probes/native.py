"""The extension in C (kernel.c), where there is one that fits."""

from __future__ import annotations

from types import ModuleType

VERSION = 10
"""Of what this package and the extension expect of each other: one that was built from other sources is left alone."""

native: ModuleType | None
try:
    from . import _kernel as native
except ImportError:
    native = None
if getattr(native, "VERSION", None) != VERSION:
    native = None
