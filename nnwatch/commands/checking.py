"""`nnwatch check`: a script is tried before it is trained."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..check import request
from ..runs import Card, RunError


def add(commands: Any) -> None:
    request.parser(commands)  # for `nnwatch --help`: the user's own words are no arguments of ours


def check(words: list[str]) -> int:
    """`nnwatch check`: 3 if a check failed, 2 if the script could not be tried."""
    from .. import job as jobs
    from .. import launch, settings
    from ..check.enclosure import folders
    from ..check.plan import Plan
    from ..screen import summary

    asked = request.request(words)
    options = asked.options
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
    about, flaw = summary(Card.load(job / "job.json"))
    for event in about.history.events:
        if event.name == "trial":
            print(json.dumps(event.data))
    if flaw:
        raise RunError(flaw)
    return 0
