"""Little sessions in a rule's ``.toml``, read as a mapping: what it must find, and what it must not.

    [first-updates-wreck-the-net]
    facts = { planned_steps = 300 }
    "lr" = "0.3x100"
    "loss.train" = "2.3x3 2.4x97"
    "update.ratio" = "4e-1x3 1e-4x97"
    finds = { lr-too-high = "error at 60" }     # worst severity, and the step it was first said

A row of numbers is ``start``, then ``+by`` or ``-by`` (per record), ``*by`` (factor per record), ``~by`` (noise
of that size, the same in every run) and ``xN`` (records in all); ``_`` is a record that was not made. A metric
per parameter or layer takes a table, ``{ "fc1.weight 64x64" = "..." }``; a plain row is one layer, "fc1.weight
64x64". Every metric has a record a step; those of validation one every ``val_every`` steps, of ``val_rows``
samples each. ``loss.val.each`` is made from ``loss.val`` when ``paired`` is given: true for the same samples
each time, false for others. A metric with a value per sample takes one row of all samples in order, ``rows`` to
a record. A metric with a value per class or bin takes a table by its number; bins that are not named are 0. The
machine is sampled once a step, each step taking a second; ``ranks`` lists what the other ranks of the job
measured and told; ``targets`` are the user's goals. Every case runs all rules: ``finds`` names all that must be found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nnwatch.frame import SEVERITIES, Block, End, Event, FieldSpec, Frame, Labels, Schema, Segment
from nnwatch.history import History
from nnwatch.metric import CONFIDENCE_BINS, describe
from nnwatch.series import Doubles

from .engine import Advisor

_NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_RUN = re.compile(rf"(_|nan|-?inf|-?{_NUMBER})((?:[+*~-]{_NUMBER})*)(?:x(\d+))?")
_PART = re.compile(rf"([+*~-])({_NUMBER})")
_GOLDEN = 0.6180339887498949
_MACHINE = ("cpu.", "memory.rss", "host.", "disk.", "net.", "gpu.")
_DEFAULT = "fc1.weight 64x64"


class CaseError(ValueError):
    """A session that cannot be read: which one, and what is wrong with it."""


class Result(NamedTuple):
    """All that the advisor said: per rule the worst severity and the step it was first said; who was primary last."""

    finds: dict[str, str]
    primary: str | None
    history: History


def numbers(text: str) -> Doubles:
    """The row's values; NaN where ``_`` says that no record was made and where it says ``nan``."""
    values: list[float] = []
    for token in text.split():
        match = _RUN.fullmatch(token)
        if match is None:
            raise CaseError(f"{token!r} is no run of numbers such as 2.3-0.02x100")
        start = float("nan" if match[1] == "_" else match[1])
        count = int(match[3] or 1)
        row = np.full(count, start)
        for sign, by in _PART.findall(match[2]):
            amount, k = float(by), np.arange(count)
            if sign == "*":
                row = row * amount**k
            elif sign == "~":
                row = row + amount * (2 * ((len(values) + k) * _GOLDEN % 1) - 1)
            else:
                row = row + k * (amount if sign == "+" else -amount)
        values.extend(row)
    return np.array(values)


def missing(text: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where the row has no record."""
    made = [(token.startswith("_"), int(m[3] or 1)) for token in text.split() if (m := _RUN.fullmatch(token))]
    return np.repeat([absent for absent, _ in made], [count for _, count in made]).astype(bool)


def frames(case: dict[str, Any]) -> list[Frame]:
    """The session's frames: segments, facts, then one block a metric, events and the end."""
    others = case.get("ranks", ())
    out: list[Frame] = [Segment(0, rank, 1 + rank, 0.0) for rank in range(1 + len(others))]
    for rank, metrics in enumerate((case, *others)):
        if "facts" in metrics:
            out.append(Event("facts", 0.0, rank=rank, data=metrics["facts"]))
        for name, value in metrics.items():
            if "." in name or name in ("lr", "epoch", "momentum"):
                out.extend(_metric(len(out), rank, name, value, case))
        for event in metrics.get("events", ()):
            step, data = event["step"], event.get("data", {})
            out.append(Event(event["name"], float(step), step, rank=rank, data=data))
    if "end" in case:
        end = case["end"]
        out.append(End(1e6, end["status"], end.get("exit"), end.get("signal"), end.get("cause", "")))
    return out


def _metric(number: int, rank: int, name: str, value: str | dict[str, str], case: dict[str, Any]) -> Iterator[Frame]:
    """All records of one metric, and of those that go with a validation loss."""
    try:
        axis = describe(name).axis
    except KeyError:
        raise CaseError(f"{name} is no metric; see nnwatch/metric.py") from None
    rows = int(case.get("val_rows", 500))
    if axis == "row" and isinstance(value, str):
        matrix, labels = numbers(value).reshape(-1, int(case["rows"])), []
        kept = np.ones(len(matrix), bool)
    else:
        layers = value if isinstance(value, dict) else {_DEFAULT: value}
        columns = {layer: numbers(row) for layer, row in layers.items()}
        if len({len(column) for column in columns.values()}) != 1:
            raise CaseError(f"the layers of {name} have rows of different lengths")
        matrix = np.stack(list(columns.values()), axis=1)
        kept = ~np.logical_and.reduce([missing(row) for row in layers.values()])
        labels = [] if axis in ("run", "bin", "class") else list(layers)
        if axis == "bin":
            bins = np.zeros((len(matrix), 2 * CONFIDENCE_BINS))
            bins[:, [int(layer) for layer in layers]] = matrix
            matrix = bins
    validation = "val" in name.split(".")
    steps = (np.arange(len(matrix)) + 1) * (int(case.get("val_every", 10)) if validation else 1)
    schema = "system" if name.startswith(_MACHINE) else name
    yield from _block(number, rank, schema, name, steps[kept], matrix[kept], labels)
    if name == "loss.val":
        yield from _block(number, rank, name, "val.size", steps, np.full((len(steps), 1), rows))
        if "paired" in case:
            order = np.zeros(len(steps)) if case["paired"] else np.arange(len(steps))
            yield from _block(number, rank, name, "val.order", steps, order[:, None])
            spread = 0.5 + (np.arange(rows) * _GOLDEN % 1)
            yield from _block(number, rank, name, "loss.val.each", steps, matrix * spread)


def _block(
    number: int, rank: int, schema: str, metric: str, steps: Any, matrix: Any, labelled: list[str] | None = None
) -> Iterator[Frame]:
    width = matrix.shape[1]
    if labelled:
        parts = [label.rpartition(" ") for label in labelled]
        yield Labels(number, [a or c for a, _, c in parts], [c if a else "" for a, _, c in parts])
    yield Schema(number, schema, [FieldSpec(metric, width, number if labelled else 0)])
    yield Block(
        number,
        0,
        rank,
        len(steps),
        steps.astype(np.int64).tobytes(),
        steps.astype(np.float64).tobytes(),
        matrix.astype(np.float32).T.tobytes(),
    )


def run(case: dict[str, Any]) -> Result:
    """Judge the session with all rules."""
    history, advisor = History(), Advisor(targets=case.get("targets"))
    for frame in frames(case):
        history.apply(frame)
    for frame in advisor.judge(history):
        history.apply(frame)
    finds: dict[str, str] = {}
    for finding in history.finding_log:
        said = finds.get(finding.rule, f"{finding.severity} at {finding.last_step}")
        severity, _, when = said.partition(" ")
        worst = max(severity, finding.severity, key=SEVERITIES.index)
        finds[finding.rule] = f"{worst} {when}"
    primary = next((f.rule for f in history.findings.values() if f.primary and f.status == "open"), None)
    return Result(finds, primary, history)
