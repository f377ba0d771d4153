"""Two runs side by side: settings that differ, curves, findings gone and new, and whether one is shown to be better."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .history import Track
from .report import Summary, _number
from .series import Doubles

SCHEMA = 1
CURVES = ("loss.train", "loss.val", "accuracy.train", "accuracy.val")
_TAIL = 100
"""Steps that the last value of a training curve is the median of."""
_ENOUGH = 2.0
"""Standard errors from which a difference counts as shown."""
_FEWEST = 3


class Difference(NamedTuple):
    """``value`` is B minus A, ``error`` its standard error (NaN where it cannot be told), ``paired`` whether the same
    samples were compared."""

    value: float
    error: float
    paired: bool


def settings(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """What differs between two sets of facts, nested keys joined by dots; what one lacks is null."""
    left, right = _flat(a), _flat(b)
    names = [*left, *(name for name in right if name not in left)]
    differ = [name for name in names if left.get(name) != right.get(name)]
    return [{"setting": name, "a": left.get(name), "b": right.get(name)} for name in differ]


def _flat(facts: Any, prefix: str = "") -> dict[str, Any]:
    pairs = facts.items() if isinstance(facts, dict) else enumerate(facts) if _nested(facts) else None
    if pairs is None:
        return {prefix: facts}
    return {name: value for key, part in pairs for name, value in _flat(part, f"{prefix}.{key}".lstrip(".")).items()}


def _nested(facts: Any) -> bool:
    return isinstance(facts, list) and any(isinstance(one, dict) for one in facts)


def curve(track: Track | None, metric: str) -> dict[str, Any] | None:
    """Last and best value of a curve, and the step of the best; None where it was not measured."""
    if track is None:
        return None
    evaluations = track.evaluations()
    if metric in ("loss.val", "accuracy.val"):
        steps, values = evaluations.steps, evaluations.loss if metric == "loss.val" else evaluations.accuracy
    else:
        series = track.get(metric)
        if series is None:
            return None
        steps, values = series.steps, series.scalar.astype(np.float64)
    if not np.isfinite(values).any():
        return None
    best = int(np.nanargmin(values) if metric.startswith("loss") else np.nanargmax(values))
    last = values[-1] if metric.endswith(".val") else np.median(values[-_TAIL:])
    return {"last": _number(float(last)), "best": _number(float(values[best])), "best_step": int(steps[best])}


def _last_losses(track: Track, metric: str) -> tuple[Doubles, Doubles] | None:
    """Losses of the last evaluation, one a sample or batch, and the checksums of its batches."""
    steps, losses, order = track.evaluations().steps, track.get(metric), track.get("val.order")
    if not len(steps) or losses is None:
        return None
    first = int(np.searchsorted(losses.steps, steps[-1]))
    values = losses.values[first:].astype(np.float64).ravel()
    sums = order.scalar[int(np.searchsorted(order.steps, steps[-1])) :] if order is not None else np.empty(0)
    return values[np.isfinite(values)], sums.astype(np.float64)


def difference(a: Track, b: Track) -> Difference | None:
    """Validation loss of B minus that of A at their last evaluations; None where one has none.

    Paired where both saw the same samples in the same order, from losses of single samples where they were kept, else
    of batches; the scatter between trainings from other seeds is not in it.
    """
    for metric in ("loss.val.each", "loss.val"):
        left, right = _last_losses(a, metric), _last_losses(b, metric)
        if left is None or right is None or not len(left[0]) or not len(right[0]):
            continue
        (x, x_order), (y, y_order) = left, right
        if len(x) == len(y) >= _FEWEST and len(x_order) and np.array_equal(x_order, y_order):
            gap = y - x
            return Difference(float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(len(gap))), True)
        if min(len(x), len(y)) < _FEWEST:
            return Difference(float(y.mean() - x.mean()), float("nan"), False)
        error = np.sqrt(x.var(ddof=1) / len(x) + y.var(ddof=1) / len(y))
        return Difference(float(y.mean() - x.mean()), float(error), False)
    return None


def judge(gap: Difference | None) -> dict[str, Any]:
    """The verdict: which run is better, as far as the noise lets one say."""
    if gap is None:
        return {
            "better": None,
            "difference": None,
            "error": None,
            "text": "cannot be told: not both have a validation loss",
        }
    value, error = _number(gap.value), _number(gap.error) if gap.error == gap.error else None
    told = {"better": None, "difference": value, "error": error, "paired": gap.paired}
    if error is None:
        return told | {"text": f"not shown: validation loss differs by {gap.value:+.3g}, its noise is not known"}
    how = "same samples" if gap.paired else "other samples or order"
    size = f"validation loss of B {gap.value:+.3g}, standard error {gap.error:.2g} ({how})"
    if not abs(gap.value) >= _ENOUGH * gap.error or gap.value == 0:
        return told | {"text": f"not shown: {size} is below two standard errors"}
    better = "B" if gap.value < 0 else "A"
    return told | {"better": better, "text": f"{better} is better: {size}; another seed may differ by more"}


def compare(a: Summary, b: Summary) -> dict[str, Any]:
    """Everything two runs differ in, for programs; ``text`` says it to people."""
    sides = {}
    facts = []
    for name, one in (("a", a), ("b", b)):
        sides[name] = {"name": one.card.name, "session": one.card.session, "last_step": one.history.last_step}
        known = one.history.facts_of(one.main) if one.main is not None else {}
        command = one.history.run.command if one.history.run is not None else one.card.command
        facts.append({"command": " ".join(command), **known})
    left, right = ({f.rule: f.title for f in one.history.findings.values()} for one in (a, b))
    tracks = a.main, b.main
    gap = difference(tracks[0], tracks[1]) if tracks[0] is not None and tracks[1] is not None else None
    curves = [{"metric": metric, "a": curve(a.main, metric), "b": curve(b.main, metric)} for metric in CURVES]
    return {
        "schema": SCHEMA,
        **sides,
        "settings": settings(*facts),
        "curves": [one for one in curves if one["a"] or one["b"]],
        "findings": {
            "gone": [{"rule": rule, "title": title} for rule, title in left.items() if rule not in right],
            "new": [{"rule": rule, "title": title} for rule, title in right.items() if rule not in left],
        },
        "verdict": judge(gap),
    }


def text(told: dict[str, Any]) -> str:
    """The comparison in lines."""
    lines = [
        f"A  {told['a']['name']}  step {told['a']['last_step']:,}",
        f"B  {told['b']['name']}  step {told['b']['last_step']:,}",
    ]
    lines += [
        "",
        *([f"  {changed(s)}" for s in told["settings"]] or ["  no setting differs"]),
    ]
    lines.append("")
    for one in told["curves"]:
        parts = [f"{side.upper()} {_curve(one[side])}" for side in ("a", "b")]
        lines.append(f"  {one['metric']:15} {'   '.join(parts)}")
    lines.append("")
    for word in ("gone", "new"):
        lines += [f"  {word}: {finding['title']} ({finding['rule']})" for finding in told["findings"][word]]
    lines += ["", told["verdict"]["text"]]
    lines += [f"hint ({hint['id']}): {hint['text']}" for hint in told.get("hints", ())]
    return "\n".join(lines) + "\n"


def changed(one: dict[str, Any]) -> str:
    """A setting and how it changed; of two commands the words that differ."""
    a, b = _shown(one["a"]), _shown(one["b"])
    if one["setting"] == "command":
        sides = [one["a"].split(), one["b"].split()]
        begin = _alike(*sides)
        sides = [words[begin:] for words in sides]
        end = _alike(*(words[::-1] for words in sides))
        a, b = (" ".join(["…", *words[: len(words) - end]]) for words in sides)
    return f"{one['setting']}: {a} → {b}"


def _alike(a: list[str], b: list[str]) -> int:
    """How many words two lists begin with alike."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _shown(value: Any) -> str:
    """A setting in a word; of the groups of an optimizer where there is but one, its own."""
    if isinstance(value, list) and len(value) == 1:
        return _shown(value[0])
    return "not known" if value in (None, "") else str(value)


def _curve(one: dict[str, Any] | None) -> str:
    if one is None:
        return "not measured"
    last, best = (f"{v:.4g}" if isinstance(v, float) else str(v) for v in (one["last"], one["best"]))
    return f"{last} (best {best} at step {one['best_step']:,})"
