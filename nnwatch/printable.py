"""Text of others on a terminal, without colours and cursors: messages of exceptions, recordings from elsewhere."""

from __future__ import annotations

import re

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-_])")
"""Sequences that begin with the escape character (ECMA-48)."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """``text`` without escape sequences and control characters; newlines and tabs stay."""
    return _CONTROL.sub("", ESCAPES.sub("", text))
