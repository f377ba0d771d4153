"""Recorded runs to look at: what goes wrong in them, and what was found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from nnwatch.frame import Block, Commit, Console, End, Event, Evidence, Finding, Frame, Judgement, Remedy

from .recording import START, STEP, opening, training

JUDGED = [
    "lr-too-low",
    "dead-relu",
    "overfitting",
    "not-learning",
    "vanishing-gradient",
    "frozen-params",
    "nan-input",
    "nan-backward",
]
ABSTAINED = {"lr-needs-decay": "needs 3 evaluations, 1 seen", "nan-loss-fn": "no loss function was called by name"}


def too_high() -> list[Finding]:
    """A learning rate that is too high, and what it does."""
    lower = Remedy(
        "lower the learning rate",
        "SGD(lr=0.1 → 0.0035) at train.py:41",
        "update/weight of the first 20 steps near 1e-3, and a loss below 2.2 after 60 steps",
    )
    clip = Remedy(
        "clip the gradient",
        "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step()",
        "gradient norm at 1.0",
    )
    return [
        Finding(
            1,
            "lr-too-high",
            "learning rate too high",
            "statistical",
            "error",
            "open",
            3,
            64,
            what="one step moved head.weight by 31 % of its size (reference 5 %)",
            why="an update of 31 % of head.weight at step 3; after 64 steps the loss is 2.31, it began at 2.30",
            layer="head.weight",
            primary=True,
            evidence=[
                Evidence("update.ratio", 0.31, 0.05, "largest update of a weight matrix", 3, 3, "head.weight"),
                Evidence("loss.train", 2.31, 2.30, "median of the newest losses against the first", 1, 64),
            ],
            remedies=[lower, clip],
            otherwise="If the loss still does not fall, look at the scale of inputs and targets.",
            first_time=START + 2.1,
            last_time=START + 4,
        ),
        Finding(
            2,
            "dead-relu",
            "dead units",
            "statistical",
            "warn",
            "open",
            9,
            128,
            what="91 % of the units of blocks.5.relu never fire",
            why="no output above zero over 512 samples; the share rose from 12 % at step 1",
            layer="blocks.5.relu",
            explained_by=1,
            evidence=[Evidence("act.dead", 0.91, 0.4, "share of dead units", 1, 128, "blocks.5.relu")],
            remedies=[
                Remedy(
                    "start again",
                    "restart after lowering the learning rate; dead units do not come back",
                    "dead below 40 %",
                )
            ],
            first_time=START + 2.1,
            last_time=START + 4,
        ),
        Finding(
            3,
            "not-learning",
            "the loss does not fall",
            "statistical",
            "warn",
            "open",
            60,
            300,
            what="loss 2.31 after 300 steps, 2.30 at the start",
            why="slope within its own noise",
            explained_by=1,
            first_time=START + 2.1,
            last_time=START + 4,
        ),
    ]


def faulty() -> list[Frame]:
    """Learning rate too high: the loss jumps and stays where it began; half the layers die. Still running."""
    frames = training(
        "digits",
        2_000,
        lambda n: 2.3 + 8 * np.exp(-(((n - 6) / 5.0) ** 2)) + 0 * n,
        lambda n: 2.34 + 0 * n,
        lambda n: 0.1 + 0 * n,
        seed=1,
        ratio=8e-2,
        dead=0.6,
        grad=0.02,
        upto=1_200,
    )
    return _with(frames, [*too_high(), Judgement(100, 0, 0, JUDGED, ABSTAINED)])


def healthy() -> list[Frame]:
    """A run that goes well and has ended."""
    frames = training(
        "digits",
        3_000,
        lambda n: 0.05 + 2.3 / (1 + n / 120),
        lambda n: 0.09 + 2.25 / (1 + n / 130),
        lambda n: 1 - 0.92 / (1 + n / 90),
        seed=2,
        lr=lambda n: 0.05 * (1 + np.cos(np.pi * n / 3_000)),
        ratio=1.2e-3,
    )
    return [*_with(frames, [Judgement(100, 0, 0, JUDGED, ABSTAINED)]), End(START + 63, "finished", 0)]


def overfitting() -> list[Frame]:
    """Training loss goes on falling, validation turns; 60 layers; running."""
    frames = training(
        "cifar",
        12_000,
        lambda n: 0.01 + 2.3 * np.exp(-n / 1500),
        lambda n: 0.75 + 1.6 * np.exp(-n / 900) + n / 9_000,
        lambda n: 0.995 - 0.9 * np.exp(-n / 1200),
        val_accuracy=lambda n: 0.72 - 0.6 * np.exp(-n / 700),
        seed=3,
        blocks=20,
        pace=0.31,
        sure=1.6,
        upto=9_400,
    )
    finding = Finding(
        1,
        "overfitting",
        "overfitting",
        "statistical",
        "warn",
        "open",
        3_100,
        5_200,
        START + 1_000,
        START + 1_600,
        what="validation loss 1.41, 0.42 above its best at step 3,100, while the training loss fell to 0.07",
        why="paired losses of 250 validation samples got worse over 3 evaluations; the training loss still falls",
        primary=True,
        evidence=[Evidence("loss.val", 1.41, 0.99, "last evaluation against the best", 3_100, 5_200)],
        remedies=[
            Remedy("keep the best weights", "stop here and load the checkpoint of step 3,100", "val loss 0.99"),
            Remedy("regularise", "weight_decay 0 → 5e-4 in AdamW(...)", "a gap between train and val below 0.3"),
        ],
    )
    return _with(frames, [finding, Judgement(3_000, 0, 0, JUDGED, ABSTAINED)])


def crashed() -> list[Frame]:
    """Ends in an exception after the loss became NaN."""
    frames = training(
        "seg",
        800,
        lambda n: np.where(n < 410, 1.0 / (1 + n / 100), np.nan),
        lambda n: 0.5 + 0 * n,
        lambda n: 0.5 + 0 * n,
        seed=4,
        upto=450,
    )
    traceback = (
        'Traceback (most recent call last):\n  File "train.py", line 88, in <module>\n    main()\n'
        '  File "train.py", line 71, in main\n'
        '    assert torch.isfinite(loss), f"loss is {loss}"\nAssertionError: loss is nan\n'
    )
    finding = Finding(
        1,
        "nan-backward",
        "the gradient of sqrt is infinite at 0",
        "invariant",
        "fatal",
        "open",
        410,
        410,
        START + 10,
        START + 10,
        what="blocks.2.norm: backward of SqrtBackward0 gave inf at step 410",
        why="the loss was finite, its gradient was not",
        primary=True,
        remedies=[Remedy("keep away from 0", "torch.sqrt(x + 1e-8) in blocks.2.norm", "gradient norm finite")],
    )
    end = START + 2 + 450 * 0.02
    return [
        *_with(frames, [finding]),
        Console(end, traceback, 450),
        Event("exception", end, 450, data={"type": "AssertionError", "message": "loss is nan", "traceback": traceback}),
        End(end, "failed", 1),
    ]


def waiting() -> list[Frame]:
    """Nothing but a start."""
    run = opening("bert", 1_000, 2)[0]
    return [run, Console(START + 1, "downloading the tokenizer\n"), Commit(START + 3)]


def _with(frames: list[Frame], more: list[Finding | Judgement]) -> list[Frame]:
    """Findings and judgements put where their step was reached."""
    for extra in more:
        step = extra.last_step if isinstance(extra, Finding) else extra.step
        at = next(
            (
                i
                for i, f in enumerate(frames)
                if isinstance(f, Block) and f.schema == STEP and np.frombuffer(f.steps, np.int64)[-1] >= step
            ),
            len(frames) - 1,
        )
        frames.insert(at + 1, extra)
    return frames


def _once(make: Callable[[], list[Frame]]) -> Callable[[], list[Frame]]:
    """The frames in a list of the caller's own, made the first time only."""
    made = cache(make)
    return lambda: list(made())


SESSIONS = {make.__name__: _once(make) for make in (faulty, healthy, overfitting, crashed, waiting)}
