"""Several runs as a way: what was set differently from one to the next, what it did, and what that suggests."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from . import compare
from .compare import SCHEMA, changed, curve, difference, judge, settings
from .report import Summary
from .stall import usual_step

if TYPE_CHECKING:
    from nnwatch.advisor.hints import Trial

_OPTIMIZER = ("class", "lr", "betas", "momentum", "weight_decay", "eps")
_LOSS = ("name", "reduction", "label_smoothing", "weighted")
_SINGLE = (
    *("batch_size", "accumulation", "shuffle", "amp", "compiled", "precision", "adapters", "pretrained"),
    *("train_rows", "classes", "planned_steps"),
)


def chosen(facts: dict[str, Any]) -> dict[str, Any]:
    """Of the facts of a run what its user has set, by short names: the many traces of one choice are one setting."""
    found: dict[str, Any] = {}
    optimizers = facts.get("optimizers") or []
    for i, optimizer in enumerate(optimizers):
        lead = f"optimizer.{i}." if len(optimizers) > 1 else "optimizer."
        found |= {lead + key: optimizer[key] for key in _OPTIMIZER if key in optimizer}
    found |= {f"loss.{key}": facts["loss"][key] for key in _LOSS if key in (facts.get("loss") or {})}
    for scheduler in facts.get("scheduler") or []:
        found["schedule"] = scheduler.get("class")
        found |= {f"schedule.{key}": value for key, value in (scheduler.get("settings") or {}).items()}
    model = facts.get("model") or {}
    if model:
        found["model"] = f"{model.get('class')} of {model.get('parameters', 0):,} parameters"
    rates = {p for _, p in facts.get("dropout") or []}
    if rates:
        found["dropout"] = sorted(rates)
    found |= {key: facts[key] for key in _SINGLE if facts.get(key) is not None}
    if (seed := (facts.get("seeds") or {}).get("torch")) is not None:
        found["seed"] = seed
    return found


def trial(summary: Summary) -> Trial:
    """One run as the hints see it."""
    from nnwatch.advisor.hints import Trial

    history, track = summary.history, summary.main
    facts = history.facts_of(track) if track is not None else {}
    best = curve(track, "loss.val") or curve(track, "loss.train")
    step, planned = usual_step(history), facts.get("planned_steps")
    took = history.last_time - (history.run.started if history.run else summary.card.started)
    loss = best["best"] if best else None
    return Trial(
        summary.card.name,
        chosen(facts),
        frozenset(finding.rule for finding in history.findings.values() if finding.severity not in ("info", "watch")),
        loss if isinstance(loss, float) else None,
        max(took, step * planned if step and planned else 0.0),
        frozenset(track or ()),
        bool((facts.get("git") or {}).get("dirty")),
    )


def told(summaries: list[Summary]) -> dict[str, Any]:
    """Two runs side by side, or more as a ledger, with the hints that follow; ``text`` says it to people."""
    whole = ledger(summaries)
    return whole if len(summaries) > 2 else compare.compare(*summaries) | {"hints": whole["hints"]}


def ledger(summaries: list[Summary]) -> dict[str, Any]:
    """The runs in the order they began: for each what was changed since the one before and what came of it."""
    from nnwatch.advisor.hints import hints

    summaries = sorted(summaries, key=lambda s: s.history.run.started if s.history.run else s.card.started)
    trials = [trial(summary) for summary in summaries]
    rows: list[dict[str, Any]] = [_row(trials[0], [], None)]
    shown: bool | None = None
    for (a, b), (before, after) in zip(pairwise(summaries), pairwise(trials), strict=True):
        verdict = None
        if a.main is not None and b.main is not None:
            verdict = judge(difference(a.main, b.main))
            shown = None if verdict["error"] is None else verdict["better"] is not None
        rows.append(_row(after, settings(dict(before.settings), dict(after.settings)), verdict))
    return {"schema": SCHEMA, "runs": rows, "hints": [hint._asdict() for hint in hints(trials, shown)]}


def _row(one: Trial, changed: list[dict[str, Any]], verdict: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": one.name,
        "best": one.loss,
        "findings": sorted(one.findings),
        "changed": changed,
        "better": {"A": "the one before", "B": "this one"}.get((verdict or {}).get("better") or ""),
        "difference": (verdict or {}).get("difference"),
        "error": (verdict or {}).get("error"),
    }


def text(told: dict[str, Any]) -> str:
    """What was ``told``, in lines."""
    if "runs" not in told:
        return compare.text(told)
    lines: list[str] = []
    for row in told["runs"]:
        best = f"best loss {row['best']:.4g}" if row["best"] is not None else "no loss"
        lines.append(f"{row['name']}  {best}{_against(row)}")
        lines += [f"    {changed(one)}" for one in row["changed"]]
        lines += [f"    found: {', '.join(row['findings'])}"] if row["findings"] else []
    lines += [line for hint in told["hints"] for line in ("", f"hint ({hint['id']}): {hint['text']}")]
    return "\n".join(lines) + "\n"


def _against(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return ""
    error = f" ± {row['error']:.2g}" if isinstance(row["error"], float) and np.isfinite(row["error"]) else ""
    said = f"{row['better']} is better" if row["better"] else "no difference shown"
    return f"; {row['difference']:+.3g}{error} against the run before: {said}"
