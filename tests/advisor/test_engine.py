"""The engine's contract: when it judges, what it says, and that flushing changes nothing of it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch.advisor.case import frames, run
from nnwatch.advisor.engine import Advisor, next_boundary
from nnwatch.advisor.finding import Found
from nnwatch.advisor.rule import all_rules
from nnwatch.frame import Block, End, Event, FieldSpec, Finding, Frame, Schema, Segment, pack
from nnwatch.history import History

KILLED_BY_A_HIGH_RATE = {
    "facts": {"planned_steps": 400, "classes": 10, "loss": {"name": "cross_entropy"}},
    "lr": "1x400",
    "loss.train": "2.31 60 30 2.31~0.02x397",
    "update.ratio": {"fc1.weight 64x64": "0.8x2 1e-6x398", "fc2.weight 10x64": "0.4x2 1e-4x398"},
    "grad.norm": "3x2 0.01x398",
    "act.dead": {"relu1 ReLU": "_x8 0.95x392"},
    "val_every": 20,
    "loss.val": "2.31~0.02x19",
    "paired": True,
}


def apply_all(history, advisor):
    said = advisor.judge(history)
    for frame in said:
        history.apply(frame)
    return said


def records(case):
    """The session one record a frame, in the order in which a ring would hold them."""
    order: list[tuple[int, int, Frame]] = []
    for place, frame in enumerate(frames(case)):
        match frame:
            case Block():
                steps = np.frombuffer(frame.steps, np.int64)
                width = len(frame.values) // 4 // max(frame.count, 1)
                values = np.frombuffer(frame.values, np.float32).reshape(width, frame.count)
                for i, step in enumerate(steps):
                    at = step.tobytes(), np.float64(step).tobytes()
                    order.append((int(step), place, Block(frame.schema, 0, 0, 1, *at, values[:, i].tobytes())))
            case Event():
                order.append((frame.step, place, frame))
            case End():
                order.append((1 << 40, place, frame))
            case _:
                order.append((-1, place, frame))
    return [frame for _, _, frame in sorted(order, key=lambda row: row[:2])]


def flushed(stream, cuts):
    """What is said when the stream arrives in pieces that end at ``cuts``."""
    history, advisor, said = History(), Advisor(), []
    for i, frame in enumerate(stream, 1):
        history.apply(frame)
        if i in cuts or i == len(stream):
            said += apply_all(history, advisor)
    return said


def test_every_step_is_judged_at_first_and_a_million_take_some_hundreds():
    boundaries = [next_boundary(0)]
    while boundaries[-1] < 1_000_000:
        boundaries.append(next_boundary(boundaries[-1]))
    assert boundaries[:20] == list(range(1, 21))
    assert 300 < len(boundaries) < 1000
    assert max(np.diff(boundaries[20:]) / boundaries[20:-1]) < 0.05


def test_a_boundary_waits_for_a_record_of_a_later_step():
    history, advisor = History(), Advisor()
    for frame in frames({"loss.train": "2.3x4 nan"}):
        history.apply(frame)
    apply_all(history, advisor)
    assert not history.findings
    history.apply(frames({"loss.train": "_x5 nan"})[-1])
    apply_all(history, advisor)
    assert [(f.rule, f.last_step) for f in history.finding_log] == [("nan-loss-fn", 5)]


STREAM = records(KILLED_BY_A_HIGH_RATE | {"end": {"status": "finished", "exit": 0}})
WHOLE = b"".join(map(pack, flushed(STREAM, set())))


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(1, len(STREAM)), max_size=60))
def test_findings_do_not_depend_on_how_frames_were_flushed(cuts):
    assert b"".join(map(pack, flushed(STREAM, cuts))) == WHOLE


@settings(max_examples=6, deadline=None)
@given(st.integers(1, len(STREAM)))
def test_a_new_advisor_goes_on_where_the_other_stopped(cut):
    history, said = History(), []
    for piece in (STREAM[:cut], STREAM[cut:]):
        advisor = Advisor()
        for frame in piece:
            history.apply(frame)
        said += apply_all(history, advisor)
    assert b"".join(map(pack, said)) == WHOLE


def test_nothing_is_said_twice():
    history, advisor = History(), Advisor()
    for frame in frames(KILLED_BY_A_HIGH_RATE):
        history.apply(frame)
    assert apply_all(history, advisor)
    assert apply_all(history, advisor) == []


def test_a_high_rate_explains_dead_units_and_a_net_that_does_not_learn():
    result = run(KILLED_BY_A_HIGH_RATE)
    assert set(result.finds) == {"lr-too-high", "dead-relu", "not-learning"}
    by_rule = {f.rule: f for f in result.history.findings.values()}
    cause = by_rule["lr-too-high"]
    assert cause.primary
    assert cause.explained_by is None
    assert by_rule["dead-relu"].explained_by == cause.id
    assert by_rule["not-learning"].explained_by == cause.id
    assert sum(f.primary for f in by_rule.values()) == 1
    assert not any("Raise" in r.title for f in by_rule.values() for r in f.remedies)


def test_a_finding_keeps_its_id_from_open_to_resolved():
    case = {"loss.train": "2.31 2.4x80 1.5*0.98x60", "lr": "0.3x141", "update.ratio": "0.2x141"}
    states = [(f.id, f.status, f.severity) for f in run(case).history.finding_log]
    assert [status for _, status, _ in states] == ["open", "resolved"]
    assert len({number for number, _, _ in states}) == 1


def test_one_odd_boundary_raises_nothing():
    """Two of three boundaries must agree: 70 % dead for one step is noise."""
    dead = {"relu ReLU": "_x20 0.1x9 0.7 0.1x20"}
    assert run({"loss.train": "2.3*0.98x50", "act.dead": dead}).finds == {}


def test_a_threshold_is_easier_to_keep_than_to_reach():
    dead = {"relu ReLU": "_x20 0.62x10 0.5x10 0.2x10"}
    states = run({"loss.train": "2.3*0.98x50", "act.dead": dead}).history.finding_log
    opened, resolved = states
    assert opened.last_step < 31  # over 0.60
    assert resolved.last_step > 40  # 0.50 is still over 0.7 x 0.60


def test_what_comes_and_goes_is_soon_said_no_more():
    """Each clearing doubles what it takes: ten records of dead units and ten without, eight times over."""
    dead = {"relu ReLU": "_x20 " + "0.7x10 0.1x10 " * 8}
    states = run({"loss.train": "2.3*0.98x180", "act.dead": dead}).history.finding_log
    assert [state.status for state in states] == ["open", "resolved"] * 3


@pytest.mark.parametrize(
    ("rates", "found"),
    [("0.3x1200", {"lr-needs-decay"}), ("0.3x900 0.1x300", set()), ("0.3x100 0.1x1100", {"plateau"})],
)
def test_a_jump_of_the_learning_rate_starts_the_trend_anew(rates, found):
    case = {"lr": rates, "loss.train": "2.3*0.98x70 0.55~0.05x1130", "update.ratio": "1e-2x1200"}
    result = run({"facts": {"planned_steps": 5000}} | case)
    assert {f.rule for f in result.history.findings.values() if f.status == "open"} == found


def test_one_key_is_at_most_watch():
    dead = {"relu ReLU": "_x20 0.99x60"}
    assert run({"loss.train": "2.3*0.98x80", "act.dead": dead}).finds == {"dead-relu": "watch at 22"}


def test_slow_rules_wait_for_the_end_where_the_plan_is_unknown():
    case = {"lr": "1e-5x120", "loss.train": "2.31-0.0005~0.01x120", "update.ratio": "1.2e-4x120"}
    assert run(case).finds == {}
    ended = run(case | {"end": {"status": "finished", "exit": 0}})
    assert ended.finds == {"lr-too-low": "warn at 120"}


def test_two_optimizers_make_the_loss_no_goal():
    case = {"lr": "0.3x100", "loss.train": "2.3x3 2.4~0.05x97", "update.ratio": "4e-1x3 1e-4x97"}
    gan = {"facts": {"optimizers": [{"class": "Adam"}, {"class": "Adam"}]}}
    assert run(case).finds == {"lr-too-high": "error at 61"}
    assert run(gan | case).finds == {"lr-too-high": "watch at 61"}


def test_segments_are_judged_apart_and_never_share_an_id():
    history, advisor = History(), Advisor()
    for segment in (0, 1):
        for frame in frames({"loss.train": "2.3x30 nanx5"}):
            match frame:
                case Segment():
                    frame = Segment(segment, 0, 1, 0.0)
                case Block():
                    frame.segment = segment
            history.apply(frame)
    said = [frame for frame in apply_all(history, advisor) if isinstance(frame, Finding)]
    assert [(f.segment, f.rule, f.first_step) for f in said] == [(0, "nan-loss-fn", 31), (1, "nan-loss-fn", 31)]
    assert len({f.id for f in said}) == 2


def test_a_broken_rule_does_not_silence_the_others(monkeypatch):
    broken = all_rules()[0]

    def check(at, limit):
        raise ZeroDivisionError("by zero")

    rules = (dataclasses.replace(broken, check=check), *all_rules()[1:])
    monkeypatch.setattr("nnwatch.advisor.engine.all_rules", lambda: rules)
    result = run({"loss.train": "2.3x30 nanx5"})
    assert result.finds == {"nan-loss-fn": "fatal at 31"}
    assert result.history.judgements[-1].abstained[broken.id] == "the rule itself failed: ZeroDivisionError: by zero"


def test_rank_zero_speaks_for_all():
    history, advisor = History(), Advisor()
    history.apply(Segment(0, 1, 1, 0.0))
    history.apply(Schema(1, "step", [FieldSpec("loss.train")]))
    history.apply(Block(1, 0, 1, 1, np.int64(9).tobytes(), np.float64(9).tobytes(), np.float32("nan").tobytes()))
    assert advisor.judge(history) == []


def test_rules_that_cannot_judge_say_why_once():
    history = run({"loss.train": "2.3*0.98x300"}).history
    newest = history.judgements[-1]
    assert set(newest.judged).isdisjoint(newest.abstained)
    assert "update.ratio is not measured" in newest.abstained["lr-too-high"]
    assert len(history.judgements) < 10


def silent_at(step):
    """A rule that holds while its last step is the one after which the training fell silent."""

    def check(at, limit):
        if not any(event.step == at.step for event in at.events("stalled")):
            return None
        return Found("error", "silent", ("no step",), at.step, (), (), "", exact=True)

    base = next(rule for rule in all_rules() if rule.id == "crashed")
    return dataclasses.replace(base, id="silent", check=check, votes=(1, 1))


def said_of_silence(stream, cuts):
    history, advisor, said = History(), Advisor([silent_at(50)]), []
    for i, frame in enumerate(stream, 1):
        history.apply(frame)
        if i in cuts or i == len(stream):
            said += apply_all(history, advisor)
    return [(f.last_step, f.status) for f in said if isinstance(f, Finding)]


def test_silence_is_judged_at_once_and_the_same_however_it_was_flushed():
    """Step 50 is no regular boundary, and no record of a later step comes to make it one."""
    assert 50 not in {next_boundary(step) for step in range(49)} | {51}
    stream = records({"loss.train": "1x80", "events": [{"name": "stalled", "step": 50, "data": {"seconds": 200.0}}]})
    at = next(i for i, frame in enumerate(stream) if isinstance(frame, Event) and frame.name == "stalled") + 1
    live = said_of_silence(stream, {at})
    assert live == [(50, "open"), (51, "resolved")]
    assert said_of_silence(stream, set()) == said_of_silence(stream, set(range(len(stream)))) == live
    assert said_of_silence(stream[:at], set()) == [(50, "open")]


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_none_bring_no_warnings_of_numpy():
    """A short run of which nothing is finite but its first loss: each rule looks before it takes a mean or a spread."""
    nothing = {
        "facts": {"planned_steps": 24, "loss": {"name": "mse_loss", "reduction": "mean"}, "dropout": [["drop", 0.9]]},
        "lr": "0.1x24", "loss.train": "2 nanx23", "loss.val": "nanx5", "val_every": 4, "paired": True,
        "target.mean": "3e20x24", "target.std": "nanx24", "batch.size": "8x24", "loss.train.eval": "nanx24",
        "update.ratio": "nanx24", "input.mean": "nanx24", "input.std": "nanx24", "act.dead": {"relu ReLU": "nanx24"},
        "end": {"status": "finished"},
    }  # fmt: skip
    judged = run(nothing).history.judgements
    assert not [why for one in judged for why in one.abstained.values() if "failed" in why]
