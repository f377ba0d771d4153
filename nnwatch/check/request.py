"""What `nnwatch check` is asked to do."""

from __future__ import annotations

import argparse
from typing import Any

from ..command import Parser, Request, target

MINUTES = 2.5
_VALUES = dict.fromkeys(("--session", "--name", "--python", "--minutes", "--only", "--html"), 1)
"""Options and how many words each takes; all others take none."""


def parser(parent: Any = None) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = (
        parent.add_parser("check", help="try a training script before it is trained")
        if parent
        else Parser(prog="nnwatch check")
    )
    made.usage = "nnwatch check [options] train.py [args] | -m pkg.train [args] | -- any command"
    made.add_argument("--minutes", type=_minutes, default=MINUTES, help=f"time it may take (default: {MINUTES:g})")
    made.add_argument("--only", type=_trials, metavar="TRIAL,...", help="make these experiments alone, such as lr")
    made.add_argument("--yes", action="store_true", help="run the script also where its writing cannot be contained")
    made.add_argument("--json", action="store_true", help="the report for programs")
    made.add_argument("--html", metavar="FILE", help="the report as one page, into this new file")
    made.add_argument("--session", metavar="FILE", help="record into this new file (default: a new one in ./.nnwatch)")
    made.add_argument("--name", help="what to call it (default: check-script-MMDD-HHMM)")
    made.add_argument("--python", help="interpreter for the script (default: the first that has torch)")
    return made


def request(argv: list[str]) -> Request:
    """Understand what follows ``nnwatch check``. Raises RunError."""
    at = 0
    while at < len(argv) and argv[at].startswith("-") and argv[at] not in ("-m", "--"):
        at += 1 + _VALUES.get(argv[at], 0)
    options = parser().parse_args(argv[:at])
    return Request(*target(argv[at:], options.python, "check"), options)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.1 <= value <= 1440:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of minutes from 0.1 to 1440")
    return value


def _trials(text: str) -> list[str]:
    from ..trial import NAMES

    names = ["range" if name == "lr" else name for name in text.split(",")]
    if unknown := sorted(set(names) - set(NAMES)):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: no experiment; choose from lr, {', '.join(NAMES)}")
    return names
