"""The table of names: every example of it, what is none, and two names of one thing."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nnwatch
from nnwatch.logs.judged import JUDGED
from nnwatch.logs.names import LENGTH, MOST, TABLE, Names, metric_of
from nnwatch.metric import METRICS


@pytest.mark.parametrize(("metric", "name"), [(row.metric, name) for row in TABLE for name in row.examples])
def test_the_examples_of_the_table(metric, name):
    assert metric_of(name) == metric
    assert metric in METRICS


@pytest.mark.parametrize(
    "name",
    ["test_loss", "loss_scale", "policy_loss", "loss_G", "kl", "reward", "val/f1", "best_val_loss", "perplexity",
     "grad_norm/layer1", "lr_mult", "epoch_time", "accuracy_top5", "steps_per_second", ""],
)  # fmt: skip
def test_what_the_table_does_not_have_is_the_users_own(name):
    assert metric_of(name) is None
    assert Names().metric(name, 1.0) == f"user.{name}"


def test_two_names_of_one_thing_are_not_mixed():
    names = Names()
    assert names.metric("train_loss_step", 1.0) == "loss.train"
    assert names.metric("train_loss_epoch", 1.0) == "user.train_loss_epoch"
    assert names.metric("train_loss_step", 9.0) == "loss.train"


def test_an_accuracy_in_per_cent_is_no_share():
    names = Names()
    assert names.metric("val_acc", 87.5) == "user.val_acc"
    assert names.metric("train_acc", 0.5) == "accuracy.train"
    assert Names().metric("val_acc", math.nan) == "user.val_acc"


def test_there_is_an_end_to_names():
    names = Names()
    taken = [names.metric(f"weight/{i}", 0.0) for i in range(MOST + 5)]
    assert taken[MOST - 1] == f"user.weight/{MOST - 1}"
    assert taken[MOST:] == [None] * 5
    assert names.left_out == [f"weight/{i}" for i in range(MOST, MOST + 5)]


def test_names_that_differ_only_at_their_end_are_not_mixed():
    names, long = Names(), "x" * LENGTH
    assert names.metric(long + "a", 0.0) == f"user.{long}"
    assert names.metric(long + "b", 0.0) is None


@given(st.text(max_size=40))
def test_any_text_is_a_name(name):
    metric = Names().metric(name, 0.0)
    assert metric is not None
    assert metric.isprintable()
    assert metric in METRICS or metric.startswith("user.")


def test_the_page_has_the_table_and_the_rules():
    page = (Path(nnwatch.__file__).parent / "LOGS.md").read_text()
    rows = [f"| `{row.metric}` | {', '.join(f'`{name}`' for name in row.examples)} |" for row in TABLE]
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows
    told = page.partition("## What can be said")[2].splitlines()
    cells = [line.split(" | ")[0].removeprefix("| ") for line in told if line.startswith("| ")][1:]
    assert {rule for cell in cells for rule in cell.split(", ")} == JUDGED
