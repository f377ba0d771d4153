"""``nnwatch check --html``: one page with the answers, the curves of the experiments and the samples that stand out.

It needs nothing else: no script, no font, no address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from nnwatch.advisor.catalogue import origins
from nnwatch.advisor.examine import Answer, Examination
from nnwatch.advisor.finding import number

from ..errors import RunError
from ..history import History
from .plots import Mark, bars, curve, picture
from .report import first, measured, touched, trials

_COLUMNS = (
    "<col width='7%'><col width='19%'><col><col width='14%'><col width='16%'>"
    "<tr><th><th>check<th>what<th>number<th>notes</tr>"
)
_RISE = 1.5
"""Losses of the range test are drawn up to so many times the first ones: the last ones would make all else flat."""


def write(history: History, examined: Examination, path: Path) -> Path:
    """The page as a new file. Raises RunError for one that exists already or cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(page(history, examined))
    except FileExistsError:
        raise RunError(f"{path}: exists already and is not overwritten; give the name of a new file") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def page(history: History, examined: Examination) -> str:
    """The whole page as HTML."""
    places, told = origins(), trials(history)
    name = escape(history.run.name if history.run else "check")
    body = [f"<h1>{name}</h1>"]
    if history.run is not None:
        body.append(f"<p class=dim>{escape(' '.join(history.run.command))}</p>")
    body.append(f"<div class='finding {examined.worst}'><p><b>{escape(first(examined))}</b></p></div>")
    for stage, answers in groupby(examined.answers, key=lambda answer: answer.check.stage):
        body.append(f"<h2>{escape(stage.capitalize())}</h2>")
        rows = "".join(_row(answer, places) for answer in answers)
        body.append(f"<table style='table-layout: fixed'>{_COLUMNS}{rows}</table>")
    body += [f"<p>{escape(line)}</p>" for line in touched(history)]
    body += _experiments(told)
    for role, rows_ in ((told.get("data") or {}).get("sets") or {}).items():
        body += _data(role, rows_)
    style = resources.files("nnwatch").joinpath("page.css").read_text("utf-8")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}</title>'
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{style}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _row(answer: Answer, places: Mapping[str, str]) -> str:
    check, said = answer.check, answer.verdict
    change = f"<br><b>do</b> {escape(said.change)}" if said.change and said.state != "pass" else ""
    because = f"<br><span class=dim>follows from {answer.because}</span>" if answer.because else ""
    dim = " class=dim" if said.state in ("pass", "not possible") else ""
    cells = (f"<b>{escape(said.state)}</b>", escape(check.id), f"{escape(said.what)}{change}{because}")
    behind = (escape(measured(said)), escape(places.get(check.id, "")))
    return f"<tr{dim}>{''.join(f'<td>{cell}' for cell in (*cells, *behind))}</tr>"


def _experiments(told: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    made = {name: data for name, data in told.items() if data.get("state") == "done"}
    if (found := made.get("range")) is not None:
        marks = [Mark(name, x=found[name]) for name in ("suggested", "present", "ceiling") if found.get(name)]
        yield "<h2>Learning rate</h2><p>Loss while the rate rises, one step a rate.</p>"
        begin = [loss for loss in found["losses"][:5] if loss is not None]
        top = max(begin) + (_RISE - 1) * abs(max(begin)) if begin else np.inf
        drawn = [None if loss is None else min(loss, top) for loss in found["losses"]]
        yield curve(found["rates"], [drawn], marks, log_x=True)
    if (found := made.get("overfit")) is not None:
        floor = found.get("floor")
        yield f"<h2>{found['samples']} samples by heart</h2><p>Loss of the optimizer that came furthest, by step.</p>"
        steps = [float(i + 1) for i in range(len(found["losses"]))]
        yield curve(steps, [found["losses"]], [Mark("what is possible", y=floor)] if floor else [])
    if (found := made.get("scheduler")) is not None and len(found["rates"]) > 1:
        spacing = (found.get("planned") or len(found["rates"])) / (len(found["rates"]) - 1)
        yield "<h2>Schedule</h2><p>The learning rate, played to the end of the plan.</p>"
        yield curve([i * spacing for i in range(len(found["rates"]))], [found["rates"]], [])


def _data(role: str, rows: Mapping[str, Any]) -> Iterator[str]:
    size = f"{rows['rows']:,}" if rows.get("rows") else "a stream"
    yield f"<h2>{escape(role.capitalize())} data</h2><p>{rows.get('read', 0):,} of {size} samples read.</p>"
    for title, drawn in (("inputs", rows.get("histogram")), ("targets", (rows.get("target") or {}).get("histogram"))):
        if drawn:
            yield f"<p>Values of the {title}</p>{bars(drawn['counts'], [number(edge) for edge in drawn['edges']])}"
    if counts := (rows.get("target") or {}).get("counts"):
        yield f"<p>Samples by label</p>{bars(list(counts.values()), _few(list(counts)))}"
    if shown := rows.get("pictures"):
        yield "<p>Samples that stand out</p><div class=samples>"
        for one in shown:
            drawn = picture(one["size"], one["pixels"]) if "pixels" in one else _values(one["values"])
            target = f", target {one['target']}" if one.get("target") else ""
            words = f"{one['sample']}{escape(target)}<br>{escape(one['why'])}"
            yield f"<figure>{drawn}<figcaption>{words}</figcaption></figure>"
        yield "</div>"


def _few(labels: list[str]) -> list[str]:
    return labels if len(labels) <= 20 else [labels[0], labels[-1]]


def _values(values: list[float | None]) -> str:
    """The numbers of a flat sample as a curve."""
    return curve([float(i) for i in range(len(values))], [values], [])
