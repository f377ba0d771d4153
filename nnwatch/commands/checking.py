"""`nnwatch check`: a script is tried before it is trained."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ..card import Card
from ..check import request
from ..errors import RunError


def add(commands: Any) -> None:
    request.parser(commands)  # for `nnwatch --help`: the user's own words are no arguments of ours


def check(words: list[str]) -> int:
    """`nnwatch check`: 3 if a check found an error, 2 if the script could not be tried."""
    from .. import job as jobs
    from .. import launch, settings
    from ..check.enclosure import folders
    from ..check.plan import Plan

    asked = request.request(words)
    options = asked.options
    if options.html is not None and Path(options.html).exists():
        raise RunError(f"{options.html}: exists already and is not overwritten; give the name of a new file")
    plan = Plan(asked.command, 60 * options.minutes, options.only or [], folders(asked.command), options.yes)
    job = jobs.prepare(
        asked.command,
        python=asked.python,
        name=options.name or f"check-{jobs.default_name(asked.command[1:] or asked.command)}",
        session=options.session,
        settings=settings.read(Path.cwd()),
        check=plan.json(),
    )
    driver = [sys.executable, "-m", "nnwatch.check.conduct", str(job)]
    code = launch.watch(job, f"nnwatch: {asked.why}\n" if asked.why else "", driver)
    if code:
        return launch.die_like(code)
    return _told(Card.load(job / "job.json"), options)


def _told(card: Card, options: argparse.Namespace) -> int:
    """Print the report, and write it as a page if that was asked for."""
    from nnwatch.advisor.examine import examine

    from ..check import page, report
    from ..screen import summary

    about, flaw = summary(card)
    history, examined = about.history, examine(about.history)
    if options.json:
        print(json.dumps(report.json(history, examined, card.session), indent=2))
    else:
        width = shutil.get_terminal_size((120, 24)).columns
        print(report.text(history, examined, width, some=bool(options.only)), end="")
    if options.html is not None:
        print(page.write(history, examined, Path(options.html)), file=sys.stderr)
    if flaw:
        raise RunError(flaw)
    return 3 if examined.worst == "error" else 0
