"""The parsers under atheris, in a process of its own: `python -m tests.fuzz.guided CORPUS [options of libFuzzer]`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["nnwatch"]):
    from .attack import parse

from nnwatch.seal import sealed


def one(data: bytes) -> None:
    """As it is, and as the content of a whole frame, which chance would hardly ever give the right sum."""
    parse(data)
    parse(sealed(data))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
