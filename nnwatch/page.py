"""``nnwatch report --html``: one page with the curves, the findings and what to do, for those who were not there.

It needs nothing else: no script, no font, no address. Curves are SVG, thinned to what a page can show: the smallest
and largest value of each stretch of steps, so that no spike is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .errors import RunError
from .frame import Finding
from .history import Track
from .metric import METRICS
from .report import Summary, headline
from .series import Doubles
from .tui.draw.text import of_step
from .tui.transcript import printed

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 900, 220, 64, 22
_PIECES = 450
_LOG = 100.0
"""Values that span more than this factor get a log axis."""
_COLOURS = ("#0072b2", "#d55e00")
"""Blue and vermilion of the Okabe-Ito palette."""
_CHARTS: Sequence[tuple[str, ...]] = (
    ("loss.train", "loss.val"),
    ("accuracy.train", "accuracy.val"),
    ("lr",),
    ("update.ratio",),
    ("grad.norm",),
)
_NAN_IS_NEWS = ("loss.", "grad.")
"""Metrics whose NaN is a value of the training; elsewhere it says that nothing was measured."""
_LAST_LINES = 30


class Line(NamedTuple):
    """A curve: ``steps`` (n,) rising, ``values`` (n,) with NaN where it has a gap."""

    label: str
    steps: Doubles
    values: Doubles


def write(summary: Summary, path: Path) -> Path:
    """The page as a new file. Raises RunError for one that exists already or cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(page(summary))
    except FileExistsError:
        raise RunError(f"{path}: exists already and is not overwritten; give the name of a new file") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def page(summary: Summary) -> str:
    """The whole page as HTML."""
    history, track = summary.history, summary.main
    name = escape(summary.card.name)
    body = [f"<h1>{name}</h1>", *(f"<p>{escape(line)}</p>" for line in headline(summary)), _about(summary)]
    findings = summary.in_order()
    body.append("<h2>What was found</h2>")
    body += [_finding(finding) for finding in findings] or ["<p>Nothing wrong was found.</p>"]
    if track is not None:
        marks = [finding for finding in findings if finding.severity not in ("info", "watch")]
        body.append("<h2>Curves</h2>")
        body += [chart(lines, marks) for metrics in _CHARTS if (lines := list(_lines(track, metrics)))]
    if history.judgement is not None and history.judgement.abstained:
        could_not = sorted(history.judgement.abstained.items())
        body += [f"<h2>{len(could_not)} rules could not judge</h2>", _table(could_not)]
    words = printed(history.console[-200:])[-_LAST_LINES:]
    if words:
        body += ["<h2>Last lines</h2>", f"<pre>{escape(chr(10).join(words))}</pre>"]
    style = resources.files(__package__).joinpath("page.css").read_text("utf-8")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}</title>'
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{style}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _about(summary: Summary) -> str:
    history, run = summary.history, summary.history.run
    facts = history.facts_of(summary.main) if summary.main is not None else {}
    model, cost = facts.get("model") or {}, summary.last("watch.cost")
    rows = [
        ("command", " ".join(run.command if run else summary.card.command)),
        ("host", run.host if run else summary.card.host),
        ("model", f"{model['class']}, {model['parameters']:,} parameters" if "class" in model else ""),
        *(
            ("optimizer", f"{o.get('class')} lr {o.get('lr')} {o.get('where') or ''}")
            for o in facts.get("optimizers") or ()
        ),
        ("planned", f"{facts['planned_steps']:,} steps" if facts.get("planned_steps") else ""),
        ("watching", f"{cost:.2%} {of_step(cost, facts.get('budget'))}" if cost is not None else ""),
    ]
    return _table([(key, value) for key, value in rows if value])


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td class=dim>{escape(key)}</td><td>{escape(str(value))}</td></tr>" for key, value in rows)
    return f"<table>{cells}</table>"


def _finding(finding: Finding) -> str:
    steps = f"steps {finding.first_step:,} to {finding.last_step:,}, {finding.status}"
    consequence = "; a consequence" if finding.explained_by is not None else ""
    parts = [
        f"<h3>{escape(finding.severity.upper())} {escape(finding.title)}</h3>",
        f"<p class=dim>{escape(finding.rule)}; {steps}{consequence}</p>",
        f"<p>{escape(finding.what)}. Because {escape(finding.why)}.</p>",
    ]
    if finding.remedies:
        items = (
            f"<li><b>{escape(r.title)}</b>: {escape(r.change)}. Expect {escape(r.expect)}.</li>"
            for r in finding.remedies
        )
        parts.append(f"<ol>{''.join(items)}</ol>")
    if finding.otherwise:
        parts.append(f"<p class=dim>{escape(finding.otherwise)}</p>")
    return f"<div class='finding {escape(finding.severity)}'>{''.join(parts)}</div>"


def _lines(track: Track, metrics: Sequence[str]) -> Iterator[Line]:
    evaluations = track.evaluations()
    for metric in metrics:
        label = METRICS[metric].title
        if metric in ("loss.val", "accuracy.val"):
            values = evaluations.loss if metric == "loss.val" else evaluations.accuracy
            steps = evaluations.steps.astype(np.float64)
        elif (series := track.get(metric)) is not None:
            steps, table = series.steps.astype(np.float64), series.values.astype(np.float64)
            if not metric.startswith(_NAN_IS_NEWS):
                some = ~np.isnan(table).all(axis=1)
                steps, table = steps[some], table[some]
            values = table[:, 0] if table.shape[1] == 1 else np.nanmedian(table, axis=1) if len(table) else np.empty(0)
        else:
            continue
        if np.isfinite(values).any():
            yield Line(label, *thinned(steps, np.asarray(values, np.float64)))


def thinned(steps: Doubles, values: Doubles, pieces: int = _PIECES) -> tuple[Doubles, Doubles]:
    """Of each of ``pieces`` equal stretches the smallest and largest finite value, in the order they came; a stretch
    with none is a gap."""
    n = len(values)
    if n <= 2 * pieces:
        return steps, np.where(np.isfinite(values), values, np.nan)
    kept: list[int] = []
    for part in np.array_split(np.arange(n), pieces):
        finite = part[np.isfinite(values[part])]
        if len(finite):
            kept += sorted({int(finite[np.argmin(values[finite])]), int(finite[np.argmax(values[finite])])})
        else:
            kept.append(int(part[0]))
    return steps[kept], np.where(np.isfinite(values[kept]), values[kept], np.nan)


def chart(lines: Sequence[Line], marks: Sequence[Finding]) -> str:
    """An SVG of some curves, with a line where each finding begins."""
    values = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    low, high = float(values.min()), float(values.max())
    log = low > 0 and high > _LOG * low
    bottom, top = (np.log10(low), np.log10(high)) if log else (min(low, 0.0) if low >= 0 else low, high)
    span = (top - bottom) or 1.0
    first = min(float(line.steps[0]) for line in lines)
    last = max(max(float(line.steps[-1]) for line in lines), first + 1)

    def x(step: float) -> float:
        return _LEFT + (step - first) / (last - first) * (_WIDTH - _LEFT)

    def y(value: float) -> float:
        return (_HEIGHT - _BOTTOM) * (1 - ((np.log10(value) if log else value) - bottom) / span)

    parts = [f'<line class=axis x1="{_LEFT}" x2="{_WIDTH}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM}"/>']
    for share in (0.0, 0.5, 1.0):
        level = bottom + share * span
        at = (_HEIGHT - _BOTTOM) * (1 - share)
        parts.append(
            f'<text x="{_LEFT - 6}" y="{at + 10:.0f}" text-anchor="end">{10**level if log else level:.3g}</text>'
        )
        step, anchor = first + share * (last - first), ("start", "middle", "end")[round(share * 2)]
        parts.append(f'<text x="{x(step):.0f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{step:,.0f}</text>')
    for finding in marks:
        if first <= finding.first_step <= last:
            at, title = x(finding.first_step), escape(f"{finding.title}, step {finding.first_step:,}")
            ends = f'x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{_HEIGHT - _BOTTOM}"'
            parts.append(f"<line class=mark {ends}><title>{title}</title></line>")
    stroke = 'fill="none" stroke-width="1.5" stroke-linecap="round"'
    for line, colour in zip(lines, _COLOURS, strict=False):
        for piece in _pieces(line):
            points = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in piece)
            parts.append(f'<polyline {stroke} stroke="{colour}" points="{points}"/>')
        for step in _breaks(line):
            title = f"<title>{escape(line.label)} is not finite from step {step:,.0f}</title>"
            parts.append(f'<text class=bad x="{x(step):.1f}" y="12" text-anchor="middle">✗{title}</text>')
    legend = ", ".join(
        f'<span style="color:{colour}">{escape(line.label)}</span> {line.values[-1]:.4g}'
        for line, colour in zip(lines, _COLOURS, strict=False)
    )
    return f'<p>{legend}{" (log)" if log else ""}</p><svg viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(parts)}</svg>'


def _breaks(line: Line) -> list[float]:
    """The steps at which its values stop being finite."""
    bad = ~np.isfinite(line.values)
    begins: list[float] = line.steps[bad & ~np.concatenate(([False], bad[:-1]))].tolist()
    return begins


def _pieces(line: Line) -> Iterator[list[tuple[float, float]]]:
    """Stretches without a gap; a value on its own is drawn as a short dash."""
    piece: list[tuple[float, float]] = []
    for step, value in zip(line.steps, line.values, strict=True):
        if np.isfinite(value):
            piece.append((float(step), float(value)))
        elif piece:
            yield piece if len(piece) > 1 else [piece[0], piece[0]]
            piece = []
    if piece:
        yield piece if len(piece) > 1 else [piece[0], piece[0]]
