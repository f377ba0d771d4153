"""The graph of causes: without circles, and one primary diagnosis on chains of findings."""

from graphlib import TopologicalSorter
from typing import Any

import pytest

from nnwatch.advisor.case import frames
from nnwatch.advisor.cause import Standing, confidence, fold
from nnwatch.advisor.context import Context
from nnwatch.advisor.finding import Found
from nnwatch.advisor.graph import EDGES, PRIORITY
from nnwatch.frame import Evidence
from nnwatch.history import History


def found(keys=2, exact=False, evidence=()):
    return Found("warn", "what", ("key",) * keys, 1, evidence, (), "else", exact=exact)


def standing(severity="error", since=1, **more):
    return Standing(found(**more), severity, since)


def context(step=100, **case):
    history = History()
    for frame in frames({"loss.train": f"2.3~0.1x{step}"} | case):
        history.apply(frame)
    assert history.main is not None
    return Context(history, history.main, step)


def test_edges_join_causes_that_have_a_place():
    assert len(set(PRIORITY)) == len(PRIORITY)
    assert set(EDGES) <= set(PRIORITY)
    assert all(set(effects) <= set(PRIORITY) for effects in EDGES.values())


def test_nothing_explains_itself_however_long_the_way():
    """But for edges whose test is the opposite of that of the edge that goes the other way."""
    opposite = {("input-ignored", "dead-relu"), ("vanishing-gradient", "adam-epsilon")}
    opposite |= {("underfitting", effect) for effect in EDGES["underfitting"]}
    opposite |= {(c, e) for c in ("lr-too-high", "divergence") for e in ("unnormalised-target", "nan-input")}
    opposite |= {("lr-too-high", "label-misaligned"), ("lr-too-low", "dead-relu")}
    graph = {c: {e for e in effects if (c, e) not in opposite} for c, effects in EDGES.items()}
    assert set(TopologicalSorter(graph).static_order()) <= set(PRIORITY)
    for dead, cause in (("0.97x100", "dead-relu"), ("0.5x100", "input-ignored")):
        at = context(**{"act.dead": {"relu ReLU": dead}})
        both = {"dead-relu": standing(), "input-ignored": standing(exact=True)}
        assert fold(both, at).primary == cause
    for grown, cause in (("0.1*1.1x100", "lr-too-high"), ("900~9x100", "unnormalised-target")):
        at = context(**{"target.mean": "0x100", "target.std": grown})
        both = {"lr-too-high": standing(), "unnormalised-target": standing(exact=True)}
        assert fold(both, at).primary == cause
    for dead, cause in (("0.97x100", "dead-relu"), ("0.5x100", "lr-too-low")):
        at = context(**{"act.dead": {"relu ReLU": dead}})
        both = {"dead-relu": standing(), "lr-too-low": standing()}
        assert fold(both, at).primary == cause


LARGE = {"update.ratio": "0.8x3 1e-6x97"}
DEAD = {"act.dead": {"relu ReLU": "_x8 0.1x10 0.97x82"}}
NO_NUMBER = {"events": [{"name": "nonfinite", "step": 90, "data": {"origin": "overflow"}}], "facts": {"amp": True}}
VAL = {"loss.val": "2.5x10"}

CHAINS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "raw inputs": (["unnormalised-input", "bad-init", "divergence", "nan-loss-fn"], {}),
    "high rate": (
        ["lr-too-high", "dead-relu", "vanishing-gradient", "not-learning", "plateau", "prediction-collapse"],
        LARGE | DEAD,
    ),
    "no zero_grad": (["missing-zero-grad", "lr-too-high", "exploding-gradient", "divergence", "not-learning"], LARGE),
    "sorted data": (["not-shuffled", "oscillation", "prediction-collapse"], {}),
    "imbalance": (["class-imbalance", "prediction-collapse", "below-baseline"], {}),
    "train mode": (["val-in-train-mode", "overfitting", "miscalibrated"], VAL),
    "overflow": (["amp-overflow", "nan-loss-fn", "crashed"],
                 NO_NUMBER | {"loss.train": "2.3~0.1x89 nanx11", "step.skipped": "1x100"}),
    "schedule": (["scheduler-misuse", "lr-decay-too-early", "lr-too-low", "plateau"], {"lr": "0.1x50 1e-4x50"}),
    "decay": (["lr-decay-too-early", "plateau", "underfitting"], {"lr": "0.1x50 1e-4x50"}),
    "sum of micro-batches": (["accumulated-loss-not-divided", "lr-too-high", "divergence"], LARGE),
    "detached": (["detached-graph", "frozen-params", "not-learning"], {}),
    "out of memory": (["memory-leak", "cuda-out-of-memory", "crashed"], {}),
    "label noise": (["label-noise", "overfitting", "miscalibrated"], {}),
    "sigmoids": (["saturated-activation", "vanishing-gradient", "not-learning"], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_the_head_of_a_chain_is_primary_and_explains_the_rest(name):
    chain, case = CHAINS[name]
    crashed = [{"name": "exception", "step": 90, "data": {"message": "loss is nan"}}]
    case = case | ({"events": case.get("events", []) + crashed} if "crashed" in chain else {})
    at = context(**case)
    open_now = {rule: standing(since=1 + 5 * place) for place, rule in enumerate(chain)}
    primary, explained, _ = fold(dict(reversed(open_now.items())), at)
    assert primary == chain[0]
    assert set(explained) == set(chain[1:])
    root = {rule: rule for rule in chain[:1]}
    for rule in chain[1:]:
        root[rule] = root[explained[rule]]
    assert set(root.values()) == {chain[0]}


def test_a_mechanism_that_was_not_at_work_explains_nothing():
    """Dead from the first batch on: not the rate, though it is too high as well."""
    at = context(**LARGE | {"act.dead": {"relu ReLU": "0.97x100"}})
    _, explained, _ = fold({"lr-too-high": standing(), "dead-relu": standing()}, at)
    assert explained == {}


def test_what_came_much_later_is_no_cause():
    at = context()
    _, explained, _ = fold({"divergence": standing(since=90), "overfitting": standing(since=10)}, at)
    assert explained == {}


def test_a_fact_is_no_cause():
    _, explained, _ = fold({"class-imbalance": standing("info"), "prediction-collapse": standing("warn")}, context())
    assert explained == {}


def test_the_worst_tree_is_primary_then_the_exact_one_then_the_larger_then_priority():
    at = context()
    assert fold({"overfitting": standing("error"), "not-shuffled": standing("warn")}, at).primary == "overfitting"
    assert fold({"plateau": standing(), "detached-graph": standing(exact=True)}, at).primary == "detached-graph"
    more = {"class-imbalance": standing(), "prediction-collapse": standing(), "val-noise": standing()}
    assert fold(more, at).primary == "class-imbalance"
    assert fold({"overfitting": standing(), "lr-too-low": standing()}, at).primary == "lr-too-low"


def test_a_mild_cause_is_ranked_by_what_it_leads_to():
    open_now = {
        "class-imbalance": standing("watch"),
        "prediction-collapse": standing("error"),
        "plateau": standing("warn"),
    }
    folded = fold(open_now, context())
    assert folded.primary == "class-imbalance"
    assert folded.severity == {"class-imbalance": "error"}  # its mechanism and their outcome: two keys


def test_a_rule_of_the_user_s_own_takes_part():
    assert fold({"my-rule": standing("fatal"), "overfitting": standing("warn")}, context()).primary == "my-rule"


@pytest.mark.parametrize(
    ("what", "value"),
    [
        (found(exact=True), 1.0),
        (found(evidence=(Evidence("loss.val", 2.0, 2.0),)), 0.0),
        (found(evidence=(Evidence("loss.val", 10**0.5, 1.0),)), 0.5),
        (found(evidence=(Evidence("loss.val", 10**0.5, 1.0), Evidence("lr", 10**-0.5, 1.0))), 0.75),
        (found(evidence=(Evidence("loss.val", 1e9, 1.0),)), 1.0),
        (found(keys=1, evidence=(Evidence("loss.val", 1e9, 1.0),)), 0.5),
        (found(evidence=(Evidence("loss.val", 5.0, None),)), 0.0),
    ],
)
def test_confidence_grows_with_the_distance_from_the_reference(what, value):
    assert confidence(what) == pytest.approx(value, abs=1e-6)
