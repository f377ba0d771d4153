"""Epochs before a checkpoint: loops that count from 0 and from 1, files that hold the last epoch or the coming one."""

from __future__ import annotations

import pytest

from nnwatch.probes.epochs import passed


@pytest.mark.parametrize(
    ("start", "first", "batches", "saved", "wanted"),
    [
        (2, 12, 6, 1, 2),  # from 0; the file holds the last one
        (2, 12, 6, 2, 2),  # or the coming one
        (3, 12, 6, 2, 2),  # from 1
        (2, 0, 6, 1, 2),  # nothing counts the steps
        (2, 15, 6, 2, 2),  # in the middle of an epoch
        (3, 6, 6, 2, 3),  # two batches make a step
        (1, 6, 6, 0, 1),
        (1, 6, 6, None, 1),
        (1, 60, 6, None, 0),  # from 1 and anew
        (0, 60, 6, 9, 0),
        (1, 60, 6, 9, 0),
        (5, 30, None, None, 5),
    ],
)
def test_a_loop_says_the_epoch(start, first, batches, saved, wanted):
    def train():
        for _epoch in range(start, start + 1):
            for _ in range(2):
                yield passed(first, batches, saved)

    assert [*train()] == [wanted, wanted]


@pytest.mark.parametrize(
    ("first", "batches", "saved", "wanted"),
    [(12, 6, 1, 2), (12, 6, 2, 2), (13, 6, 1, 2), (0, None, 4, 5), (12, 6, None, 0)],
)
def test_without_one_the_file_does(first, batches, saved, wanted):
    assert passed(first, batches, saved) == wanted
