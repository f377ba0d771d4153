"""What a finding rests on: the curve that shows it, and how the finding came, changed and went."""

from __future__ import annotations

from nnwatch.frame import Evidence, Finding
from nnwatch.metric import METRICS

from .curves import ACCURACY, LOSS, Curve
from .draw.text import count, number
from .view import View
from .widgets.chart import Chart

_TOGETHER = {curve.column: curves for curves in (LOSS, ACCURACY) for curve in curves}


def column_of(evidence: Evidence) -> str:
    """Name of the column that the evidence was read from."""
    return f"{evidence.metric}@{evidence.layer}" if evidence.layer else evidence.metric


def plottable(view: View, finding: Finding) -> list[Evidence]:
    """The evidence that has a curve, in the finding's order."""
    return [one for one in finding.evidence if one.metric in METRICS and view.column(column_of(one)) is not None]


def plot_evidence(chart: Chart, evidence: Evidence) -> None:
    """Have the chart show the evidence: its curve, the window it was read from, the reference."""
    title = METRICS[evidence.metric].title + (f" of {evidence.layer}" if evidence.layer else "")
    curves = [Curve(column_of(evidence), "")] if evidence.layer else _TOGETHER.get(evidence.metric)
    window = evidence.first_step, max(evidence.last_step, evidence.first_step)
    chart.plan(title, curves or [Curve(evidence.metric, "")], evidence.reference, window)


def evidence_lines(finding: Finding) -> list[str]:
    """The numbers, each with its window."""
    lines = []
    for one in finding.evidence:
        against = f" against {number(one.reference)}" if one.reference is not None else ""
        where = f" of {one.layer}" if one.layer else ""
        window = f"step {count(one.first_step)}"
        if one.last_step > one.first_step:
            window = f"steps {count(one.first_step)} to {count(one.last_step)}"
        lines.append(f"{one.metric}{where} {number(one.value)}{against}: {one.meaning} ({window})")
    return lines


def history_lines(states: list[Finding]) -> list[str]:
    """When the finding came, changed its severity, went and came again; ``states`` in the order they were told."""
    lines: list[str] = []
    before: tuple[str, str] | None = None
    for state in states:
        now = state.status, state.severity
        if now == before:
            continue
        if state.status == "resolved":
            words = "resolved"
        elif before is None:
            words = f"seen as {state.severity}"
        else:
            words = f"back as {state.severity}" if before[0] == "resolved" else f"now {state.severity}"
        lines.append(f"step {count(state.last_step)}: {words}")
        before = now
    return lines
