"""What there is: `nnwatch ls` the runs, `explain` the rules, `metrics` what is measured; and `nnwatch` alone."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from .. import runs
from ..card import Card, leading, together
from ..command import has_screen
from ..errors import RunError
from . import command


def add(commands: Any) -> None:
    ls_ = command(commands, "ls", ls, "the runs, newest first")
    ls_.add_argument("folder", nargs="?", metavar="FOLDER", help="those in a folder of logs of other tools")
    ls_.add_argument("--json", action="store_true", help="for programs")
    explain_ = command(commands, "explain", explain, "why a rule matters, how it decides, what to do")
    explain_.add_argument("id", nargs="?", metavar="ID", help="a rule or a metric; without one, the list of both")
    command(commands, "metrics", metrics, "everything that is measured")


def list_runs(options: argparse.Namespace) -> int:
    """`nnwatch` alone."""
    if has_screen():
        from ..screen import choose

        return choose()
    return ls(options)


def ls(options: argparse.Namespace) -> int:
    folder = getattr(options, "folder", None)  # `nnwatch` alone has none
    if folder is not None:
        return ls_logs(folder, options.json)
    cards = runs.runs()
    if options.json:
        print(json.dumps([_row(card) for card in cards], indent=2))
        return 0
    if not cards:
        print("no runs yet; start one: nnwatch run train.py")
    for card in leading(cards):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(card.started))
        latest = card.latest
        said = f"{latest['severity']} {latest['finding']}" if latest.get("finding") else ""
        if nodes := sum(together(card, other) for other in cards) - 1 if card.group else 0:
            said += f"  {nodes + 1} nodes"
        if card.continues:
            said += f"  goes on from {card.continues}"
        at = f"step {card.last_step or 0:,}" + (f"  loss {card.last_loss:.4g}" if card.last_loss is not None else "")
        if card.state == "elsewhere":  # its processes cannot be seen from here, only what they write
            said += f"  on {card.host}, {max(0.0, time.time() - latest.get('time', card.started)):.0f} s ago"
        print(f"{card.id}  {when}  {card.state:9}  {card.name:24}  {at:28}  {said}".rstrip())
    return 0


def ls_logs(folder: str, as_json: bool) -> int:
    """By when they were last written to, and by what; they are not read for it."""
    from ..logs import find

    cards = find.of_folder(folder)
    if as_json:
        print(json.dumps([_row(card) for card in cards], indent=2))
        return 0
    if not cards:
        raise RunError(f"{folder}: no folder with a run in it; {find.known()}")
    for card in cards:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(card.started))
        print(f"{when}  {card.format:20}  {card.name}")
    return 0


def _row(card: Card) -> dict[str, object]:
    return {
        "id": card.id,
        "name": card.name,
        "status": card.state,
        "session": card.session,
        "format": card.format or None,
        "host": card.host,
        "command": card.command,
        "started": card.started,
        "attach": card.attach,
        "continues": card.continues or None,
        "latest": card.latest,
        "end": card.end,
    }


def explain(options: argparse.Namespace) -> int:
    from nnwatch.advisor.page import listing, metric_page, page

    from .. import settings
    from ..metric import METRICS

    rules, _, complaints = settings.rules(settings.read(Path.cwd()))
    for complaint in complaints:
        print(f"nnwatch: {complaint}", file=sys.stderr)
    if options.id is None:
        print(listing(rules))
    elif options.id in METRICS:
        print(metric_page(options.id, rules))
    else:
        try:
            print(page(options.id, rules))
        except KeyError as error:
            raise RunError(f"{error.args[0]}; metrics have pages too, see `nnwatch metrics`") from None
    return 0


def metrics(options: argparse.Namespace) -> int:
    from ..metric import METRICS

    for metric in METRICS.values():
        print(f"{metric.name:22}  {metric.unit:8}  {metric.meaning}")
    return 0
