"""What a script says of itself against what was recorded of it, number by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnwatch.history import History, Track

EVERY_STEP = {
    "loss": "loss.train",
    "root": "loss.root",
    "lr": "lr",
    "epoch": "epoch",
    "batch": "batch.size",
    "skipped": "step.skipped",
    "scale": "amp.scale",
    "terms": "loss.term",
}
SAMPLED = {
    "accuracy": "accuracy.train",
    "gradient": "grad.norm",
    "gradients": "grad.norm.layer",
    "before_clip": "grad.clip.norm",
    "clip": "grad.clip.max",
    "weights": "weight.norm",
    "updates": "update.ratio",
    "activation": "act.std",
    "entropy": "distribution.entropy",
}
VALIDATION = {"loss": "loss.val", "rows": "val.size", "accuracy": "accuracy.val"}
OF_THE_MODE = {"mode_val": "mode.val", "grad_val": "grad.val"}
FACTS = (
    "planned_steps", "steps_per_epoch", "accumulation", "classes", "train_rows", "val_rows", "amp", "compiled",
    "distributed", "frozen", "framework",
)  # fmt: skip
COLUMNS = {
    "loss": ("loss", "root", "terms"),
    "rate": ("lr",),
    "epoch": ("epoch",),
    "batch": ("batch",),
    "plan": ("planned_steps", "steps_per_epoch", "accumulation"),
    "accuracy": ("accuracy",),
    "gradients": ("gradient", "gradients", "before_clip", "clip"),
    "weights": ("weights", "updates"),
    "activations": ("activation",),
    "inputs": ("input",),
    "validation": ("val.loss", "val.rows", "val.accuracy", "mode_val", "grad_val"),
    "phases": ("phases",),
    "facts": ("model", "classes", "train_rows", "val_rows", "amp", "compiled", "distributed", "frozen", "framework"),
    "special": ("skipped", "scale", "entropy"),
    "own metrics": ("user",),
    "autopsy": ("poisoned",),
    "same bits": ("bits",),
}
"""Columns of the table in probes/STYLES.md, and what a script may know of each."""
DENSE = 20
"""Steps from the first that are all sampled."""


def compare(own: dict[str, Any], seen: History, track: Track) -> dict[str, bool]:
    """What the script knows, by name: True where the same was recorded in its ``track``, False where nothing was.

    Raises AssertionError where something else was recorded.
    """
    facts = seen.facts_of(track)
    steps, more = own["steps"], own["more"]
    had = {}
    for name, metric in EVERY_STEP.items():
        if name in steps:
            had[name] = _series(name, track, metric, steps[name], len(steps[name]))
    for name, metric in SAMPLED.items():
        if name in steps:
            had[name] = _series(name, track, metric, steps[name], min(DENSE, len(steps[name])) - 2)
    if "input" in steps:
        mean, std = zip(*steps["input"], strict=True)
        had["input"] = all(
            _series("input", track, metric, list(values), DENSE // 2)
            for metric, values in (("input.mean", mean), ("input.std", std))
        )
    if own["val"]:
        for name, metric in VALIDATION.items():
            if any(batch[name] is not None for batch in own["val"]):
                had[f"val.{name}"] = _validation(track, metric, name, own["val"])
    for name, metric in OF_THE_MODE.items():
        if name in more:
            had[name] = metric in track
            assert not had[name] or set(track[metric].scalar) == {more[name]}, name
    for name in FACTS:
        if name in more:
            had[name] = name in facts
            assert not had[name] or facts[name] == more[name], (name, facts[name])
    if "model" in more:
        model = facts.get("model", {})
        had["model"] = bool(model)
        assert not model or [model["class"], model["parameters"]] == more["model"], model
    for name, values in more.get("user", {}).items():
        had["user"] = had.get("user", True) and _user(track, f"user.{name}", values)
    events = [event for event in seen.events if event.segment == track.segment.segment]
    if "phases" in more:
        phases = [[event.data["name"], event.step] for event in events if event.name == "phase"]
        had["phases"] = bool(phases)
        assert not phases or phases == more["phases"], phases
    if "poisoned" in more:
        found = [event for event in events if event.name == "nonfinite"]
        had["poisoned"] = bool(found) and found[0].data["origin"] == "input"
        assert not found or found[0].step == more["poisoned"], found
    return had


def _series(name: str, track: Track, metric: str, truth: list[Any], least: int) -> bool:
    """Is every record of a step that the script tells of the script's own number, and are there ``least``?"""
    series = track.get(metric)
    if series is None or np.isnan(series.values).all():
        return False
    known = [(step, values) for step, values in zip(series.steps, series.values, strict=True) if step <= len(truth)]
    assert len({step for step, _ in known}) >= least, f"{metric}: {len(known)} of {len(truth)} steps were recorded"
    names = series.names()
    for step, values in known:
        expected = truth[step - 1]
        if isinstance(expected, dict):
            values = [values[names.index(each)] for each in expected]
            expected = list(expected.values())
        elif not isinstance(expected, list):
            values = values[0]
        _equal(values, expected, f"{name} of step {step}")
    return True


def _validation(track: Track, metric: str, name: str, val: list[dict[str, Any]]) -> bool:
    series = track.get(metric)
    truth = [(each["step"], each[name]) for each in val if each[name] is not None]
    if series is None:
        return False
    recorded = [(s, v) for s, v in zip(series.steps, series.scalar, strict=True) if s <= val[-1]["step"]]
    assert [step for step, _ in recorded] == [step for step, _ in truth], (metric, recorded, truth)
    _equal([value for _, value in recorded], [value for _, value in truth], metric)
    return True


def _user(track: Track, metric: str, truth: list[list[float]]) -> bool:
    """``truth``: step and value of each."""
    series = track.get(metric)
    if series is None:
        return False
    assert list(series.steps) == [step for step, _ in truth], (metric, list(series.steps), truth)
    _equal(series.scalar, [value for _, value in truth], metric)
    return True


def _equal(recorded: Any, truth: Any, what: str) -> None:
    np.testing.assert_allclose(np.asarray(recorded, float), np.asarray(truth, float), 2e-5, 1e-7, err_msg=what)
