"""What the data report says of real data sets: damaged samples, duplicates, leaks, augmentations, baselines."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    Subset,
    TensorDataset,
    random_split,
)

from nnwatch.probes.trials import again, overlap, reading
from nnwatch.probes.trials.found import role_of
from nnwatch.probes.trials.linear import logistic, ridge
from nnwatch.probes.trials.pictures import worst
from nnwatch.probes.trials.reading import Reading, labels_of
from nnwatch.probes.trials.sets import Set, of_loader, same_random
from nnwatch.probes.trials.tally import tally


def digits(n: int = 200, seed: int = 0) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    return TensorDataset(torch.randn(n, 1, 8, 8, generator=generator), torch.arange(n) % 10)


def of(dataset: Dataset[Any], role: str = "train") -> Set:
    return of_loader(role, DataLoader(dataset, batch_size=16))


def read(dataset: Dataset[Any], seconds: float = 20.0) -> Reading:
    return Reading(of(dataset), seconds)


class Made(Dataset[Any]):
    """A data set of what ``make(i)`` gives."""

    patients: list[int]
    rng: Any

    def __init__(self, make: Callable[[int], Any], rows: int = 64) -> None:
        self.make, self.rows = make, rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, place: int) -> Any:
        return self.make(place)


def test_every_sample_is_read_and_told():
    told = tally(read(digits()))
    assert (told["rows"], told["read"], told["shape"], told["dtype"]) == (200, 200, [1, 8, 8], "float32")
    assert told["target"]["counts"] == {str(label): 20 for label in range(10)}
    assert told["mean"] == pytest.approx([0], abs=0.05)
    assert told["std"] == pytest.approx([1], abs=0.05)
    assert told["bad"] == {"errors": 0, "shapes": 0, "nonfinite": 0, "constant": 0}
    assert told["duplicates"]["rows"] == 0
    assert sum(told["histogram"]["counts"]) > 0


def test_time_is_kept_and_what_was_read_is_spread_over_all():
    dataset = Made(lambda i: (torch.zeros(4) + i, i), 1000)
    found = Reading(of(dataset), 0.0)
    assert len(found) == 2, "two at least, whatever the time"
    order = [*Set("train", 1000, of(dataset).read, dataset, False).order()]
    assert sorted(order) == list(range(1000))
    for n in (10, 100):
        assert max(np.diff(sorted([0, *order[:n], 1000]))) < 6 * 1000 / n


def test_memory_is_kept_whatever_the_data(monkeypatch):
    monkeypatch.setattr(reading, "ELEMENTS", 1000)
    found = read(Made(lambda i: (torch.randn(4, 10), torch.zeros(4, 10)), 200))
    assert len(found) == 200
    assert found.x is not None
    assert found.x.shape == (12, 4, 10)
    assert sum(target is not None for target in found.targets) == 12
    small = read(Made(lambda i: (torch.randn(4, 10), i), 200))
    assert sum(target is not None for target in small.targets) == 200


def test_damaged_samples_are_named():
    def make(i: int) -> Any:
        if i == 7:
            raise OSError("image file is truncated")
        x = torch.randn(3, 8, 8)
        if i == 20:
            x[0, 0, 0] = float("nan")
        if i == 30:
            x[:] = 0.5
        if i == 40:
            x = x[:, :7]
        return x, float("inf") if i == 50 else 1.0

    told = tally(read(Made(make, 200)))
    assert told["errors"] == [[7, "OSError: image file is truncated"]]
    assert sorted(told["nonfinite"]) == [20, 50]
    assert told["constant"] == [30]
    assert told["other_shapes"] == [[40, [3, 7, 8]]]


def test_texts_of_any_length_are_no_damage():
    told = tally(read(Made(lambda i: (torch.arange(1 + i % 9), i % 2))))
    assert told["other_shapes"] == []
    assert told["bad"]["shapes"] == 0


def test_duplicates_and_their_labels():
    x = torch.randn(100, 5)
    x[50], x[60] = x[3], x[4]
    y = torch.zeros(100)
    y[60] = 1
    told = tally(read(TensorDataset(x, y)))["duplicates"]
    assert told["rows"] == 2
    assert told["contradict"] == 1
    assert sorted(told["pairs"]) == [[3, 50], [4, 60]]


@pytest.mark.parametrize(("noise", "contradict"), [(0.1, 0), (3.0, 100)])
def test_two_measurements_of_one_thing_may_differ_a_little(noise, contradict):
    torch.manual_seed(0)
    things = torch.arange(100).repeat(2)
    value = torch.linspace(-1, 1, 100).repeat(2) + noise * torch.tensor([0.0, 1.0]).repeat_interleave(100)
    told = tally(read(TensorDataset(things, value)))["duplicates"]
    assert told["rows"] == 100
    assert told["contradict"] == contradict


def test_samples_of_several_inputs_are_equal_where_all_of_them_are():
    users, films = torch.arange(40) % 4, torch.arange(40) % 5
    told = tally(read(TensorDataset(users, films, torch.arange(40.0))))["duplicates"]
    assert told["rows"] == 20, "four users times five films, twice"


def test_outliers_are_found_with_their_place():
    x = torch.randn(300, 6)
    x[113, 2] = 6.1e4
    found = tally(read(TensorDataset(x, torch.zeros(300))))["outliers"]
    assert found[0][:2] == [113, "feature 2"]
    assert found[0][2] == pytest.approx(6.1e4)
    assert found[0][3] > 1000
    assert abs(found[1][3]) < 20


def test_sorted_labels_show_in_the_runs_test():
    x = torch.randn(400, 3)
    y = torch.arange(400) // 40
    shuffled = y[torch.randperm(400, generator=torch.Generator().manual_seed(1))]
    assert tally(read(TensorDataset(x, y)))["target"]["runs"] < -6
    assert abs(tally(read(TensorDataset(x, shuffled)))["target"]["runs"]) < 4


def test_one_hot_targets_are_labels_and_numbers_are_not():
    labels = labels_of([np.eye(3)[i % 3] for i in range(9)])
    assert labels is not None
    assert labels.tolist() == [0, 1, 2] * 3
    assert labels_of([np.array([0.5])]) is None
    assert labels_of([np.array([0.2, 0.8])]) is None
    told = tally(read(TensorDataset(torch.randn(50, 3), torch.linspace(0, 9, 50))))["target"]
    assert (told["min"], told["max"]) == (0, 9)


@pytest.mark.parametrize(
    ("item", "shape", "target"),
    [
        ({"image": torch.zeros(3), "labels": 4}, (3,), 4),
        ((torch.zeros(3), torch.ones(2), 7), (3,), 7),
        ([torch.zeros(3), 7], (3,), 7),
        (torch.zeros(3), (3,), None),
    ],
)
def test_input_and_target_of_what_a_data_set_gives(item, shape, target):
    sample = of(Made(lambda i: item)).read(0)
    assert sample.x.shape == shape
    assert (None if sample.y is None else int(sample.y)) == target


def test_samples_are_collated_as_the_loader_does():
    dataset = TensorDataset(torch.randn(8, 3), torch.arange(8))
    own = DataLoader(dataset, batch_sampler=BatchSampler(SequentialSampler(dataset), 4, False))
    assert of_loader("train", own).read(5).x.shape == (3,)
    alone = DataLoader(dataset, batch_size=None)
    assert of_loader("train", alone).read(5).x.shape == (3,)


def test_a_stream_is_read_from_its_beginning():
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([(torch.ones(2) * i, i) for i in range(30)])

    found = read(Stream())
    assert len(found) == 30
    assert found.coverage is None
    assert tally(found)["rows"] is None


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


def test_pictures_of_the_worst():
    found = read(digits())
    shown = worst(found, {3: "far off", 999: "was not read"})
    assert [(one["sample"], one["why"], one["target"], one["size"]) for one in shown] == [
        (3, "far off", "3", [1, 8, 8])
    ]


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
