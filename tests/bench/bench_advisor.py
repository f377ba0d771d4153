"""What the rules cost the monitor.

    python -m tests.bench.bench_advisor

A made-up quiet run of 200 layers, with every metric that the probes can measure, is judged by all rules from its
first step to its last: CPU time of the whole judgement over the steps of the run, and where it went. The bars: 50 us
of CPU a training step; 30 s for a recorded session of 1,000,000 steps. Judging costs per boundary, and boundaries
lie ever further apart, so a short run pays more per step: a run of 1,000 steps is shown beside.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from nnwatch.advisor.context import Context
from nnwatch.advisor.engine import Advisor, next_boundary
from nnwatch.advisor.rule import Check, Rule, all_rules
from nnwatch.frame import Block, Event, FieldSpec, Finding, Frame, Labels, Schema, Segment
from nnwatch.history import History
from nnwatch.metric import CONFIDENCE_BINS, METRICS

LAYERS = 200
RUNS = ((1_000, 10), (10_000, 20), (100_000, 100), (1_000_000, 500))
"""Steps, and steps from one sampled step to the next behind the dense first 20."""
CLASSES = 10
WIDTHS = {"bin": 2 * CONFIDENCE_BINS, "class": CLASSES, "row": 64, "term": 2, "device": 1, "group": 2, "module": 20}
EVERY_STEP = ("loss.train", "loss.root", "lr", "batch.size", "epoch", "step.seconds", "data.wait", "step.skipped")
LEVELS = {
    "lr": 1e-3, "batch.size": 64.0, "val.size": 64.0, "epoch": 1.0, "step.skipped": 0.0, "grad.stale": 0.0,
    "update.ratio": 2e-3, "act.dead": 0.1, "act.saturated": 0.1, "weight.unchanged": 0.05, "grad.zeros": 0.05,
    "adam.eps.ratio": 1e4, "amp.scale": 65536.0, "mode.train": 1.0, "mode.val": 0.0, "grad.val": 0.0,
    "confidence.target": 0.5, "accuracy.train": 0.8, "accuracy.val": 0.8, "step.gain": 0.02, "data.wait": 1e-3,
    "step.seconds": 0.05, "target.ignored": 0.0, "target.padding": 0.0,
}  # fmt: skip
FACTS = {
    "classes": CLASSES, "loss": {"name": "cross_entropy", "reduction": "mean"}, "train_rows": 50_000, "val_rows": 5_000,
    "optimizers": [{"class": "AdamW", "lr": [1e-3], "eps": 1e-8, "weight_decay": 0.01}], "steps_per_epoch": 780,
    "layers": {"batchnorm": 20, "relu": LAYERS}, "unreached": [], "accumulation": 1, "workers": 4, "device": "cpu",
}  # fmt: skip


def made_up(steps: int, every: int) -> list[Frame]:
    """A quiet run: the loss falls, everything else is noise around a healthy level."""
    rng = np.random.default_rng(0)
    dense = np.arange(1, steps + 1, dtype=np.int64)
    sampled = dense[(dense <= 20) | (dense % every == 0)]
    passes = np.arange(1, 101, dtype=np.int64) * (steps // 100)
    validation = np.repeat(passes, 20)
    layers = [f"layer{i}.weight" for i in range(LAYERS)]
    frames: list[Frame] = [Segment(0, 0, 1, 0.0), Event("facts", 0.0, data=FACTS | {"planned_steps": 2 * steps})]

    def add(metric: str, at: np.ndarray, width: int, labels: int = 0) -> None:
        level = LEVELS.get(metric, 1.0)
        values = level * np.exp(rng.normal(0, 0.05, (len(at), width))).astype(np.float32)
        if metric.startswith("loss."):
            values *= (2 * at.astype(np.float32) ** -0.3)[:, None]
        if metric in ("lr", "batch.size", "epoch", "val.size", "amp.scale", "val.order"):
            values[:] = level
        number = len(frames)
        frames.append(Schema(number, metric, [FieldSpec(metric, width, labels)]))
        data = np.ascontiguousarray(values.T).tobytes()
        frames.append(Block(number, 0, 0, len(at), at.tobytes(), at.astype(float).tobytes(), data))

    frames.append(Labels(1, layers, ["64x64"] * LAYERS))
    frames.append(Labels(2, layers, ["ReLU"] * LAYERS))
    for name, metric in METRICS.items():
        where = validation if "val" in name.split(".") else dense if name in EVERY_STEP else sampled
        per_layer = {"parameter": 1, "activation": 2}.get(metric.axis, 0)
        width = LAYERS if per_layer else WIDTHS.get(metric.axis, 1)
        if name.split(".")[0] not in ("cpu", "memory", "host", "disk", "net", "gpu", "watch"):
            add(name, where, width, per_layer)
    return frames


def timed(rule: Rule, spent: dict[str, float]) -> Rule:
    """The same rule, with its CPU time counted."""
    check: Check = rule.check

    def watched(at: Context, limit: object) -> object:
        began = time.perf_counter()
        try:
            return check(at, rule.thresholds)
        finally:
            spent[rule.id] = spent.get(rule.id, 0.0) + time.perf_counter() - began

    return replace(rule, check=watched)  # type: ignore[arg-type]


def judge(steps: int, every: int) -> tuple[float, dict[str, float], set[str]]:
    """CPU seconds of judging the run, seconds by rule, and what was found in spite of all."""
    history = History()
    spent: dict[str, float] = {}
    for frame in made_up(steps, every):
        history.apply(frame)
    advisor = Advisor([timed(rule, spent) for rule in all_rules()])
    began = time.process_time()
    said = advisor.judge(history)
    return time.process_time() - began, spent, {f.rule for f in said if isinstance(f, Finding)}


def main() -> None:
    print(f"All {len(all_rules())} rules on a quiet run of {LAYERS} layers, every metric measured\n")
    print(f"{'steps':>10} {'boundaries':>11} {'CPU':>9} {'a step':>10} {'a boundary':>11}")
    for steps, every in RUNS:
        boundaries, step = 0, 0
        while step < steps:
            step, boundaries = next_boundary(step), boundaries + 1
        cpu, spent, found = judge(steps, every)
        print(f"{steps:10,} {boundaries:11} {cpu:7.2f} s {1e6 * cpu / steps:7.1f} us {1e3 * cpu / boundaries:8.2f} ms")
    total = sum(spent.values())
    print("\nWhere it went, at the longest:")
    for rule, seconds in sorted(spent.items(), key=lambda item: -item[1])[:12]:
        print(f"  {rule:30} {100 * seconds / total:5.1f} %")
    print(f"said on it: {', '.join(sorted(found)) or 'nothing'}")


if __name__ == "__main__":
    main()
