"""What is said of logs: sick ones are found, healthy ones are silent, and who cannot judge says why."""

import csv
import math
import random

import numpy as np
import pytest

from nnwatch.advisor.rule import all_rules
from nnwatch.frame import Finding
from nnwatch.history import History
from nnwatch.logs.judged import JUDGED
from nnwatch.session import Reader

from ..test_house import ROOT
from .reading import HEALTHY, PATHS, REAL, told


def found(history: History) -> dict[str, Finding]:
    return {finding.rule: finding for finding in history.findings.values() if finding.status == "open"}


def written(path, columns):
    """A table of columns of one length; NaN is an empty cell, other words stand as they are."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow(["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in row])
    return path


def falling(steps, noise=0.1, seed=0):
    """A healthy loss: it falls and flattens, with noise."""
    draw = random.Random(seed)
    level = [2 * math.exp(-4 * step / steps[-1]) for step in steps]
    return [0.3 + one * (1 + noise * draw.gauss(0, 1)) + 0.02 * draw.random() for one in level]


@pytest.mark.parametrize("path", HEALTHY)
def test_real_healthy_logs_are_silent(path):
    history = told(path)
    assert found(history) == {}
    assert history.judgement is not None
    assert set(history.judgement.judged) <= JUDGED


def test_real_overfitting_is_found():
    [finding] = found(told(REAL / "csv" / "overfitting.csv")).values()
    assert (finding.rule, finding.severity, finding.first_step) == ("overfitting", "watch", 400)
    assert "best 0.837 at step 400" in finding.what
    assert finding.remedies[0].title == "Restore the best checkpoint and stop early"


def test_a_real_divergence_is_found_with_the_rate_to_try():
    [finding] = found(told(REAL / "csv" / "divergence.csv")).values()
    assert (finding.rule, finding.severity) == ("divergence", "error")
    assert finding.first_step > 1200
    assert finding.remedies[0].change == "lr 30 → 2"


def test_a_loss_that_is_no_number_any_more(tmp_path):
    steps = list(range(50, 2001, 50))
    losses = [loss if step < 1200 else "nan" for step, loss in zip(steps, falling(steps), strict=True)]
    [finding] = found(told(written(tmp_path / "nan.csv", {"step": steps, "loss": losses}))).values()
    assert (finding.rule, finding.severity, finding.first_step) == ("nan-loss-fn", "fatal", 1200)
    assert "of step 1150" in finding.why
    assert finding.remedies[0].change == "nothing known → steps 1151 to 1200 made again under `nnwatch run`"


def test_a_loss_that_grew_until_it_was_none(tmp_path):
    steps = list(range(50, 2001, 50))
    losses = falling(steps)[:20] + [3.0**n for n in range(10)] + ["inf"] * 10
    [finding] = found(told(written(tmp_path / "grown.csv", {"step": steps, "loss": losses}))).values()
    assert (finding.rule, finding.title) == ("divergence", "diverged to NaN")


def test_a_nan_that_the_run_survived_is_silent(tmp_path):
    steps = list(range(50, 2001, 50))
    losses = [loss if step != 500 else "nan" for step, loss in zip(steps, falling(steps), strict=True)]
    assert found(told(written(tmp_path / "one.csv", {"step": steps, "loss": losses}))) == {}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("every", "noise"), [(1, 0.3), (10, 0.2), (50, 0.5), (500, 0.1)])
def test_healthy_curves_are_silent_however_often_they_were_logged(tmp_path, every, noise, seed):
    steps = list(range(every, 300 * every + 1, every))
    losses = falling(steps, noise, seed)
    draw = random.Random(seed)
    evaluated = [loss * 1.1 + 0.03 * draw.gauss(0, 1) if i % 10 == 9 else math.nan for i, loss in enumerate(losses)]
    columns = {"step": steps, "loss": losses, "val_loss": evaluated, "lr": [1e-3] * len(steps)}
    columns["grad_norm"] = [draw.lognormvariate(0, 0.5) for _ in steps]
    assert found(told(written(tmp_path / "log.csv", columns))) == {}


@pytest.mark.parametrize("extra", ["rollout/ep_rew_mean", "reward", "loss_G", "d_loss"])
def test_where_the_loss_is_no_goal_it_may_rise(tmp_path, extra):
    steps = list(range(50, 2001, 50))
    columns = {"step": steps, "loss": [0.01 * 1.2**n for n in range(40)], extra: [1.0] * 40}
    history = told(written(tmp_path / "game.csv", columns))
    assert found(history) == {}
    assert history.judgement is not None
    assert "no goal" in history.judgement.abstained["divergence"]


def test_every_other_rule_says_why_it_cannot_judge():
    judgement = told(PATHS["plain"]).judgement
    assert judgement is not None
    others = {rule.id for rule in all_rules()} - JUDGED
    assert others <= set(judgement.abstained)
    assert judgement.abstained["dead-relu"] == "the log has no act.dead, grad.norm.layer, update.ratio"
    assert judgement.abstained["wrong-loss"] == "it needs every step, or the script itself: a log has neither"
    assert {rule.id for rule in all_rules()} >= JUDGED


@pytest.mark.parametrize("every", [1, 7, 20])
@pytest.mark.parametrize("name", ["healthy", "rate-of-a-millionth"])
def test_recordings_thinned_out_to_logs_accuse_nobody_wrongly(tmp_path, name, every):
    """A session as a framework would have logged it: loss, rate and gradient norm of every so many steps."""
    history, reader = History(), Reader(ROOT / "tests" / "sessions" / f"{name}.nnw")
    while frames := reader.read():
        for frame in frames:
            history.apply(frame)
    reader.close()
    assert history.main is not None
    rows: dict[int, dict[str, float]] = {}
    for metric, column in (("loss.train", "loss"), ("lr", "lr"), ("grad.norm", "grad_norm")):
        series = history.main[metric]
        for step, value in zip(series.steps.tolist(), series.scalar.tolist(), strict=True):
            if step % every == 0:
                rows.setdefault(step, {})[column] = value
    evaluations = history.main.evaluations()
    for step, loss in zip(evaluations.steps.tolist(), evaluations.loss.tolist(), strict=True):
        rows.setdefault(step, {})["val_loss"] = loss
    steps = sorted(rows)
    names = ("loss", "lr", "grad_norm", "val_loss")
    columns = {name: [rows[step].get(name, math.nan) for step in steps] for name in names}
    assert np.isfinite(columns["loss"]).sum() >= 5
    assert found(told(written(tmp_path / "log.csv", {"step": steps} | columns))) == {}
