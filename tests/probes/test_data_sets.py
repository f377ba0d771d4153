"""What the data report says of data sets beside each other: leaks, augmentations, splits, a linear baseline."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    Subset,
    TensorDataset,
    random_split,
)

from nnwatch.probes.trials import again, overlap
from nnwatch.probes.trials.found import role_of
from nnwatch.probes.trials.linear import logistic, ridge
from nnwatch.probes.trials.sets import same_random
from nnwatch.probes.trials.tally import tally

from .samples import Made, digits, of, read


class TestTwoSets:
    def test_shared_rows_are_counted(self):
        whole = digits(300)
        told = overlap.leak(read(Subset(whole, range(200))), read(Subset(whole, range(180, 240))))
        assert (told["rows"], told["seen"], told["expected"]) == (60, 20, 0)
        assert [0, 180] in told["pairs"]
        assert told["coverage"] == 1

    def test_what_repeats_anyway_is_expected(self):
        coins = TensorDataset(
            torch.randint(0, 2, (400, 2), generator=torch.Generator().manual_seed(0)), torch.zeros(400)
        )
        told = overlap.leak(read(Subset(coins, range(200))), read(Subset(coins, range(200, 400))))
        assert told["seen"] == 200
        assert told["expected"] > 190

    def test_groups_of_a_subset_are_those_of_its_rows(self):
        dataset = Made(lambda i: (torch.randn(2), 0), 40)
        dataset.patients = [i // 4 for i in range(40)]
        by_row = overlap.groups(read(Subset(dataset, [*range(0, 40, 2)])), read(Subset(dataset, [*range(1, 40, 2)])))
        assert by_row == {"name": "patient", "shared": 10, "of": 10}
        by_patient = overlap.groups(read(Subset(dataset, [*range(20)])), read(Subset(dataset, [*range(20, 40)])))
        assert by_patient == {"name": "patient", "shared": 0, "of": 5}

    def test_no_groups_no_answer(self):
        assert overlap.groups(read(digits()), read(digits())) is None

    def test_near_pictures_are_told_against_their_rate_within_training(self):
        base = torch.rand(60, 1, 6, 6, generator=torch.Generator().manual_seed(0))
        large = torch.nn.functional.interpolate(base, 36, mode="bilinear")
        frames = (large + 0.01 * torch.randn(large.shape, generator=torch.Generator().manual_seed(1))).clone()
        told = overlap.near(
            read(TensorDataset(large, torch.zeros(60))), read(TensorDataset(frames[:30], torch.zeros(30)))
        )
        assert told is not None
        assert told["between"] > 0.4, "half of the training pictures are compared, for a rate within the other half"
        assert told["within"] < 0.1
        assert overlap.near(read(digits()), read(digits())) is None, "eight pixels are too few"


class TestReadTwice:
    def test_augmentation_varies_and_data_do_not(self):
        assert again.varies(of(digits()), 60) == 0
        assert again.varies(of(Made(lambda i: (torch.zeros(2, 8) + torch.randn(1), 0))), 60) == 1
        coin = again.varies(of(Made(lambda i: (torch.zeros(2, 8) + (torch.rand(1) < 0.5), 0))), 60)
        assert coin is not None
        assert 0.1 < coin < 0.9

    def test_where_there_is_no_time_one_sample_is_read(self):
        read: list[int] = []

        def slow(i: int) -> Any:
            read.append(i)
            return torch.zeros(1, 8, 8), torch.zeros(8, 8)

        assert again.varies(of(Made(slow)), 0) == 0
        assert len(read) == 2
        assert again.geometry(of(Made(slow)), 0) == {"flipped": 0, "still": 0}
        assert len(read) == 2 + again.DRAWS

    def test_the_scripts_generators_are_left_alone(self):
        states = torch.get_rng_state(), random.getstate(), str(np.random.get_state(legacy=False))
        with same_random():
            again.varies(of(Made(lambda i: (torch.randn(3) + random.random() + np.random.rand(), 0))), 60)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert random.getstate() == states[1]
        assert str(np.random.get_state(legacy=False)) == states[2]

    @pytest.mark.parametrize("along", [True, False])
    def test_a_mirrored_picture_with_its_mask(self, along):
        pictures = torch.randn(16, 1, 8, 8)
        masks = (pictures[:, 0] > 0).long()

        def make(i: int) -> Any:
            flip = torch.rand(1) < 0.5
            x, y = pictures[i], masks[i]
            return (x.flip(-1), y.flip(-1) if along else y) if flip else (x, y)

        told = again.geometry(of(Made(make, 16)), 60)
        assert told is not None
        assert told["flipped"] > 5
        assert told["still"] == (0 if along else told["flipped"])

    def test_labels_do_not_lie_in_the_picture(self):
        assert again.geometry(of(digits()), 60) is None

    def test_generators_that_workers_would_copy(self):
        dataset = Made(lambda i: (torch.zeros(2), 0))
        assert again.generators(of(dataset)) == []
        dataset.rng = np.random.default_rng(0)
        assert again.generators(of(dataset)) == ["Made.rng"]


def test_a_random_split_is_drawn():
    half = random_split(digits(), [100, 100], torch.Generator().manual_seed(0))[1]
    assert of(half).drawn
    assert not of(Subset(digits(), range(100))).drawn
    assert not of(digits()).drawn


def test_the_digest_is_that_of_the_samples():
    assert tally(read(digits()))["digest"] == tally(read(digits()))["digest"]
    assert tally(read(digits()))["digest"] != tally(read(digits(seed=1)))["digest"]
    part = read(digits())
    part.hashes = part.hashes[:100]
    assert tally(part)["digest"] == tally(read(digits()))["digest"], "however much there was time for"


def test_names_tell_the_role():
    roles = [role_of(name) for name in ("val_loader", "X_test", "train_dl", "devset", "data")]
    assert roles == ["validation", "test", "train", "validation", None]


class TestLinear:
    def test_least_squares_finds_the_line(self):
        x = np.random.default_rng(0).normal(size=(300, 5))
        y = x @ np.array([[1.0], [-2], [0], [0.5], [3]]) + 4
        assert np.abs(ridge(x[:200], y[:200], x[200:]) - y[200:]).max() < 0.05

    def test_more_features_than_rows(self):
        x = np.random.default_rng(0).normal(size=(30, 100))
        y = x[:, :1]
        assert np.abs(ridge(x, y, x) - y).max() < 0.2

    def test_classes_that_a_line_separates(self):
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 3, 600)
        x = rng.normal(size=(600, 4)) + 3 * np.eye(4)[labels]
        told = logistic(x[:400], labels[:400], 3, x[400:])
        assert np.mean(told.argmax(1) == labels[400:]) > 0.93
        assert told.sum(1) == pytest.approx(1)
