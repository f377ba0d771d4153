"""What `nnwatch COMMAND` can do: each file tells the parser of its commands (``add``) and opens the rooms they need."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

WHICH = "a path, a name, a unique prefix, or nothing for the newest"
RUN: dict[str, Any] = {"nargs": "?", "metavar": "RUN", "help": WHICH}


def command(
    commands: Any, name: str, action: Callable[[argparse.Namespace], int], help: str
) -> argparse.ArgumentParser:
    """The parser of one more command; ``action`` returns its exit code."""
    made: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    made.set_defaults(action=action)
    return made
