"""The little sessions that lie beside the rules."""

import sys
from pathlib import Path
from typing import Any

from nnwatch.advisor import rules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(rules.__path__[0])


def sessions(stem: str) -> dict[str, dict[str, Any]]:
    """The sessions of one rule's file by name."""
    return tomllib.loads((FOLDER / f"{stem}.toml").read_text(encoding="utf-8"))
