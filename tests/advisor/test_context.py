"""Clocks, phases and flags: what a rule may take for granted at a boundary."""

import pytest

from nnwatch.advisor.case import frames
from nnwatch.advisor.context import Context
from nnwatch.advisor.engine import Advisor
from nnwatch.advisor.finding import Abstain, Found
from nnwatch.advisor.passes import dense
from nnwatch.advisor.rule import Rule
from nnwatch.frame import Event, Evidence, Finding, Remedy
from nnwatch.history import History


def context(step=400, *extra, **case):
    history = History()
    for frame in [*frames({"loss.train": f"2.3*0.99x{step}"} | case), *extra]:
        history.apply(frame)
    assert history.main is not None
    return Context(history, history.main, step)


@pytest.mark.parametrize(
    ("facts", "flag"),
    [
        ({"optimizers": [{}, {}]}, "no_goal"),
        ({"reinforcement": True}, "no_goal"),
        ({"frozen": ["a.weight"]}, "finetune"),
        ({"adapters": True}, "finetune"),
        ({"pretrained": True}, "finetune"),
        ({"amp": True}, "amp"),
        ({"layers": {"batchnorm": 2}}, "batchnorm"),
    ],
)
def test_flags_come_from_facts(facts, flag):
    assert getattr(context(facts=facts), flag)
    assert not getattr(context(), flag)


@pytest.mark.parametrize(
    ("shapes", "many"),
    [
        ({"input": [32, 6], "output": [32, 3], "target": [32]}, False),
        ({"input": [8, 5], "output": [40, 12], "target": [40]}, True),
        ({"input": [4, 3, 9, 9], "output": [4, 2, 9, 9], "target": [4, 9, 9]}, True),
        ({"input": [32, 6], "output": [32, 3], "target": [32, 3]}, False),  # a share for each class
    ],
)
def test_labels_of_each_pixel_or_token_are_told_by_the_shapes(shapes, many):
    assert dense(context(facts={"shapes": shapes})) == many


def test_a_batch_of_few_samples_is_tiny():
    assert context(**{"batch.size": "4x400"}).tiny_batch
    assert not context(**{"batch.size": "64x400"}).tiny_batch
    assert context(facts={"accumulation": 8}).accumulation == 8


@pytest.mark.parametrize(
    ("rates", "cyclic", "warm"),
    [("1e-3+1e-5x100 2e-3x300", False, 101), ("0.1-1e-4x400", False, 0), ("0.1x100 0.01x100 0.1x200", True, 0)],
)
def test_the_schedule_is_read_from_the_rates(rates, cyclic, warm):
    at = context(lr=rates)
    assert at.cyclic is cyclic
    assert at.lr_warmup_end == warm
    assert at.warmup == max(20, warm)


@pytest.mark.parametrize(
    ("case", "extra", "start"),
    [
        ({}, [], 0),
        ({"lr": "0.1x100 0.05x300"}, [], 101),
        ({"lr": "0.1x100 0.09x300"}, [], 0),
        ({"batch.size": "32x150 128x250"}, [], 151),
        ({"batch.size": "32x150 7 32x249"}, [], 0),  # the ragged end of an epoch
        ({"facts": {"frozen": ["a", "b"]}}, [Event("facts", 1.0, 200, data={"frozen": ["a"]})], 200),
        ({"facts": {"frozen": ["a"]}}, [Event("facts", 1.0, 200, data={"frozen": ["a", "b"]})], 0),
        ({}, [Event("checkpoint.loaded", 1.0, 120, data={"path": "a.pt"})], 120),
    ],
)
def test_a_phase_begins_where_something_was_changed(case, extra, start):
    assert context(400, *extra, **case).phase_start == start


def test_windows_are_relative_to_the_run_and_hold_an_epoch():
    assert context(400).window_length == 200
    assert context(5000).window_length == 1000
    assert context(400, facts={"steps_per_epoch": 350}).window_length == 350
    jumped = context(400, lr="0.1x300 0.01x100")
    assert jumped.window(jumped.loss).steps.tolist() == list(range(301, 401))


def test_views_end_at_the_boundary():
    history = History()
    for frame in frames({"loss.train": "1+1x50"}):
        history.apply(frame)
    assert history.main is not None
    at = Context(history, history.main, 10)
    assert at.loss.scalar.tolist() == list(range(1, 11))
    assert at.newest("loss.train", 3)[:, 0].tolist() == [8, 9, 10]
    with pytest.raises(Abstain, match=r"needs 11 records of loss\.train"):
        at.newest("loss.train", 11)
    with pytest.raises(Abstain, match="lr is not measured"):
        at.view("lr")


def test_forbidden_advice_is_not_printed_whoever_gives_it():
    """A rule that would raise the rate of a net that a high one killed is stopped by the engine itself."""

    def careless(at, limit):
        evidence = (Evidence("loss.train", 1.0, 0.1),)
        advice = (Remedy("Raise the learning rate", "lr 1 → 10", "it falls"), Remedy("Look", "a → b", "c"))
        return Found("warn", "slow", ("a", "b"), 1, evidence, advice, "else")

    rule = Rule("careless", "slow", "statistical", (), ("Raise the learning rate", "Look"), "a test", careless)
    case = {"loss.train": "2.3~0.1x60", "lr": "1x60"}
    for more, allowed in (
        ({"update.ratio": "1e-5x60"}, True),
        ({"update.ratio": "0.8x3 1e-5x57"}, False),
        ({"update.ratio": "1e-5x60", "act.dead": {"relu ReLU": "_x8 0.9x52"}}, False),
    ):
        history, advisor = History(), Advisor([rule])
        for frame in frames(case | more):
            history.apply(frame)
        said = [frame for frame in advisor.judge(history) if isinstance(frame, Finding)]
        assert [r.title for r in said[-1].remedies] == (["Raise the learning rate"] if allowed else []) + ["Look"]
