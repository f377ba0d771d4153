"""What a check found, for a person and for a program: the answers in the order of the recipe, and what comes first."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from nnwatch.advisor.catalogue import origins
from nnwatch.advisor.check import Verdict
from nnwatch.advisor.examine import Answer, Examination
from nnwatch.advisor.finding import number
from nnwatch.advisor.trials import NOT_MADE

from ..history import History
from ..trial import EVENT

SCHEMA = 1
_MARK = {"pass": "pass", "info": "info", "warn": "WARN", "error": "ERROR"}
_STATE, _ID = 7, 27
"""Columns of the state and of the name of a check."""


def trials(history: History) -> dict[str, dict[str, Any]]:
    """What each experiment told, by its name."""
    return {str(event.data["trial"]): event.data for event in history.events if event.name == EVENT}


def text(history: History, examined: Examination, width: int, some: bool = False) -> str:
    """The table of the terminal, at most ``width`` wide, and the one thing to change first. ``some``: the user asked
    for some experiments only, and what needs others is left out."""
    places = origins()
    shown = [answer for answer in examined.answers if not (some and answer.verdict.what.startswith(NOT_MADE))]
    lines = []
    for stage, answers in groupby(shown, key=lambda answer: answer.check.stage):
        lines += [stage.upper(), *_stage([*answers], places, width), ""]
    examined = examined._replace(answers=tuple(shown))
    lines += [line for said in touched(history) for line in _wrapped("", said, width)]
    return "\n".join([*lines, *_closing(examined, width)]) + "\n"


def _stage(answers: Sequence[Answer], places: Mapping[str, str], width: int) -> Iterator[str]:
    """The answers of one stage; those that were not possible for one reason together, at its end."""
    impossible: dict[str, list[str]] = {}
    for answer in answers:
        if answer.verdict.state == "not possible":
            impossible.setdefault(answer.verdict.what, []).append(answer.check.id)
        else:
            yield from _row(answer, places, width)
    for why, ids in impossible.items():
        yield from _wrapped(f"  {'-':{_STATE}}", f"{', '.join(ids)}: {why}", width)


def _row(answer: Answer, places: Mapping[str, str], width: int) -> Iterator[str]:
    check, said = answer.check, answer.verdict
    head = f"  {_MARK[said.state]:{_STATE}}{check.id:{_ID}}"
    facts = [measured(said), f"notes {places[check.id]}" if check.id in places else ""]
    behind = "; ".join(filter(None, facts))
    words = said.what + (f" [{behind}]" if behind else "")
    if answer.because is not None:
        words += f" (follows from {answer.because})"
    yield from _wrapped(head, words, width)
    if said.state in ("info", "warn", "error") and said.change:
        yield from _wrapped(" " * (len(head) - 4) + "do: ", said.change, width)


def measured(said: Verdict) -> str:
    """The number a verdict rests on and what it is compared with; empty where the two are one."""
    if said.value is None or said.value == said.reference:
        return ""
    return number(said.value) + (f" against {number(said.reference)}" if said.reference is not None else "")


def _wrapped(head: str, words: str, width: int) -> list[str]:
    indent = " " * len(head)
    return textwrap.wrap(words, max(width, 60), initial_indent=head, subsequent_indent=indent) or [head]


def touched(history: History) -> Iterator[str]:
    """What the script did besides training: what it would have written, what it connected to, what it went on from."""
    told = trials(history).get("containment") or {}
    kept = {"overlay": "It was kept from your files", "landlock": "It could write to a scratch folder only"}
    if written := told.get("written"):
        yield f"{kept.get(told['how'], 'It')}, and wrote {_several(written)}."
    if connections := told.get("connections"):
        yield f"It connected to {_several(connections)}."
    if loaded := told.get("loaded"):
        yield f"It loaded {_several(loaded)} before its first step: what was tried goes on from there."


def _several(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _closing(examined: Examination, width: int) -> list[str]:
    count = Counter(answer.verdict.state for answer in examined.answers)
    told = [f"{count[state]} {state}" for state in ("pass", "info", "warn", "error", "not possible") if count[state]]
    counted = f"{', '.join(told)}; {len(examined.beside)} checks have nothing to do with this script"
    return [*_wrapped("", counted, width), *_wrapped("", first(examined), width)]


def first(examined: Examination) -> str:
    """The one thing to change first, with its value; what is to be done next where nothing is wrong."""
    if examined.first is not None:
        said = examined.first.verdict
        expect = f"; then {said.expect}" if said.expect else ""
        return f"Change first ({examined.first.check.id}): {said.change}{expect}"
    impossible = [a for a in examined.answers if a.verdict.state == "not possible"]
    if len(impossible) == len(examined.answers):
        return "Nothing could be asked."
    return "Nothing has to be changed before the training."


def json(history: History, examined: Examination, session: str) -> dict[str, Any]:
    """The same for programs."""
    places = origins()
    return {
        "schema": SCHEMA,
        "session": session,
        "command": history.run.command if history.run else [],
        "worst": examined.worst,
        "first": examined.first.check.id if examined.first else None,
        "checks": [
            {
                "check": check.id,
                "stage": check.stage,
                "title": check.title,
                "state": said.state,
                "what": said.what,
                "value": _plain(said.value),
                "reference": _plain(said.reference),
                "change": said.change,
                "expect": said.expect,
                "because": because,
                "notes": places.get(check.id, ""),
            }
            for check, said, because in examined.answers
        ],
        "beside": list(examined.beside),
        "trials": trials(history),
    }


def _plain(value: float | None) -> float | str | None:
    """JSON has no NaN and no infinity: they are written as words."""
    return value if value is None or np.isfinite(value) else str(float(value))
