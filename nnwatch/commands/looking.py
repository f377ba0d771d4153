"""`nnwatch stacks`: where every rank of a running job is, and who waits for whom."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .. import runs, stacks
from . import RUN, command

_SHOWN = 12
"""Calls of a stack that are printed; all are in the session."""
_WAITS = {
    "collective": "waits in a collective",
    "backward": "is in the backward pass",
    "data": "waits for its data",
    "code": "is in its own code",
}


def add(commands: Any) -> None:
    stacks_ = command(commands, "stacks", look, "where every rank of a running job is, and who waits for whom")
    stacks_.add_argument("run", **RUN)
    stacks_.add_argument("--json", action="store_true", help="for programs")


def look(options: argparse.Namespace) -> int:
    told = stacks.ask(runs.resolve(options.run or None))
    if options.json:
        print(json.dumps(told, indent=2))
        return 0
    for rank, one in told["ranks"].items():
        where = f" on {one['host']}" if one.get("host") else ""
        print(f"rank {rank} (process {one['pid']}{where}) {_WAITS.get(one['waits'], 'cannot be read: ' + one['why'])}")
        for function, file, line in one["stack"][:_SHOWN]:
            print(f"    {function:32} {file}:{line}")
        if (more := len(one["stack"]) - _SHOWN) > 0:
            print(f"    and {more} calls further out")
    if told["said"]:
        print(told["said"])
    return 0
