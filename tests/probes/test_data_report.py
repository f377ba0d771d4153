"""What the data report says of the samples of one real data set: damage, duplicates, outliers, order."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    SequentialSampler,
    TensorDataset,
)

from nnwatch.probes.trials import reading
from nnwatch.probes.trials.pictures import worst
from nnwatch.probes.trials.reading import Reading, labels_of
from nnwatch.probes.trials.sets import Set, of_loader
from nnwatch.probes.trials.tally import tally

from .samples import Made, digits, of, read


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


def test_pictures_of_the_worst():
    found = read(digits())
    shown = worst(found, {3: "far off", 999: "was not read"})
    assert [(one["sample"], one["why"], one["target"], one["size"]) for one in shown] == [
        (3, "far off", "3", [1, 8, 8])
    ]
