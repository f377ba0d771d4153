"""`nnwatch run`: headless where there is no terminal for a screen."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

from .. import command, listen
from ..card import Card


def add(commands: Any) -> None:
    command.parser(commands)  # for `nnwatch --help`: the user's own words are no arguments of ours


def run(words: list[str]) -> int:
    """`nnwatch run`: headless where there is no terminal for a screen."""
    from .. import job as jobs
    from .. import settings
    from ..nodes import group

    asked = command.request(words)
    options = asked.options
    command.take_screen_options(options)
    headless = options.headless or not command.has_screen()
    greeting = f"nnwatch: {asked.why}\n" if asked.why else ""
    prepare = functools.partial(
        jobs.prepare,
        asked.command,
        python=asked.python,
        name=options.name,
        session=options.session,
        headless=headless,
        budget=options.budget,
        compiled_layers=options.compiled_layers,
        fail_on=options.fail_on,
        on=options.on,
        settings=settings.read(Path.cwd()),
        alerts=options.alert,
        listen=options.listen,
        token=listen.given_token(options.token_file) if options.listen or options.join else "",
        join=options.join,
        place=group.place(asked.command),
    )
    from .. import launch, slurm

    job, leads = slurm.join(asked.command, prepare) if headless else (prepare(), True)
    if not leads:
        return launch.die_like(launch.take_part(job, asked.command))
    if headless:
        code = launch.watch(job, greeting)
        return launch.die_like(code) if code else _verdict_code(job, options.fail_on)
    from ..screen import live

    print(greeting, end="", file=sys.stderr)
    code = live(job)
    return code or _verdict_code(job, options.fail_on)


def _verdict_code(job: Path, fail_on: str | None) -> int:
    """3 if a finding was as severe as the user does not want it."""
    if fail_on is None:
        return 0
    try:
        worst = (Card.load(job / "job.json").end or {}).get("worst")
    except ValueError:  # the job folder was removed under way
        return 0
    order = command.SEVERITIES
    return 3 if worst in order and order.index(worst) >= order.index(fail_on) else 0
