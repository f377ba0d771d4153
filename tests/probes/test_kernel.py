"""The C kernel and the torch and numpy path give the same, whatever the tensors hold."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nnwatch.probes import activations, confidence, inputs, kernel
from nnwatch.probes.activations import Activations
from nnwatch.probes.emit import Emitter
from nnwatch.probes.fetch import Fetch
from nnwatch.probes.gradients import norms
from nnwatch.probes.inputs import moments
from nnwatch.probes.loss import Term
from nnwatch.probes.sample import Sample
from nnwatch.probes.weights import Snapshot

pytestmark = pytest.mark.skipif(kernel.native is None, reason="built without a compiler")

SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple) | st.sampled_from([(1025,), (40, 64), (7, 3, 31, 17)])
SPECIAL = st.sampled_from([0.0, -0.0, 1e-25, 3e4, float("nan"), float("inf"), -float("inf")])


@st.composite
def tensors(draw, shapes=SHAPES, special=SPECIAL):
    """Normal numbers of some scale, a few of them replaced by special ones."""
    shape = draw(shapes)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    tensor = torch.randn(shape, generator=generator) * draw(st.sampled_from([1e-12, 1.0, 1e6]))
    for value in draw(st.lists(special, max_size=3)):
        if tensor.numel():
            tensor.view(-1)[draw(st.integers(0, tensor.numel() - 1))] = value
    return tensor


def both(work):
    """What ``work`` gives with the extension and without it."""
    native, kernel.native = kernel.native, None
    try:
        without = work()
    finally:
        kernel.native = native
    return work(), without


def same(pair):
    mine, theirs = pair
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-30)


def parameter(tensor, gradient=None):
    made = nn.Parameter(tensor.clone())
    made.grad = gradient
    return made


@settings(deadline=None, max_examples=60)
@given(st.lists(tensors(), min_size=1, max_size=4))
def test_norms_are_the_same(gradients):
    parameters = [parameter(gradient, gradient) for gradient in gradients] + [parameter(torch.ones(3))]

    def work():
        found = []
        norms(parameters, Fetch(), lambda each, whole: found.append([*each, whole]))
        return found

    native, torchs = both(work)
    assert kernel.norms([p.grad for p in parameters if p.grad is not None]) is not None
    np.testing.assert_allclose(native, torchs, rtol=1e-5, atol=1e-18)  # torch squares small numbers away


@settings(deadline=None, max_examples=60)
@given(st.lists(tensors(), min_size=1, max_size=4), st.floats(1e-4, 1.0))
def test_updates_are_the_same(values, rate):
    def work():
        parameters = [parameter(value) for value in values]
        found = []
        snapshot = Snapshot(parameters)
        with torch.no_grad():
            for p in parameters:
                p.mul_(1 - rate)
        snapshot.compare(Fetch(), lambda norm, ratio: found.append([norm, ratio]))
        return found

    same(both(work))


def test_a_parameter_that_gets_other_storage_is_still_compared():
    def work():
        p = parameter(torch.arange(3000.0))
        found = []
        snapshot = Snapshot([p])
        p.data = p.data * 1.5
        snapshot.compare(Fetch(), lambda norm, ratio: found.append(ratio[0]))
        return found

    native, without = both(work)
    assert native == pytest.approx([0.5])
    assert without == pytest.approx([0.5])


def test_a_parameter_that_changes_its_size_has_no_ratio():
    p = parameter(torch.ones(30))
    snapshot = Snapshot([p])
    p.data = torch.ones(40)
    snapshot.compare(Fetch(), lambda *_: pytest.fail("there is nothing to compare"))


@settings(deadline=None, max_examples=60)
@given(tensors(SHAPES.filter(lambda shape: 0 not in shape)))
def test_moments_are_the_same(tensor):
    def work():
        found: dict[str, float] = {}
        moments("input", [tensor], Fetch(), found.__setitem__)
        return [found[key] for key in sorted(found)]

    same(both(work))
    assert kernel.moments(tensor, inputs.SAMPLED) is not None


OUTPUTS = st.tuples(st.integers(1, 70), st.integers(1, 40)) | st.sampled_from(
    [(64, 128), (9, 33, 128), (3, 16, 5, 5), (2, 64, 32, 32), (5, 6, 20)]
)


@settings(deadline=None, max_examples=80)
@given(tensors(OUTPUTS), st.sampled_from([nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU]), st.booleans())
def test_activations_are_the_same(output, kind, channels):
    if channels and output.dim() < 3:
        channels = False

    def work():
        seen = Activations()
        for number in range(3):
            seen.begin()
            value = output.clone()
            value.view(-1)[number::3] *= -1
            if issubclass(kind, nn.ReLU):
                value = value.relu()
                value.select(1 if channels else -1, 0).zero_()
            seen.see("layer", kind, value, channels, Fetch())
        sample = Sample(Fetch(), Emitter([], 0), 1, False)
        seen.put(sample, lambda names, notes: 1)
        columns = {metric: np.asarray(values, float) for metric, _, values in sample._columns}
        return [columns.get(metric, np.array([-1.0])) for metric in activations.METRICS]

    same(both(work))


@st.composite
def predictions(draw):
    """A cross-entropy call: logits with ties and special numbers, labels partly ignored, odd ones too."""
    rows, classes = draw(st.sampled_from([(1, 2), (64, 10), (33, 47), (7, 1), (3, 1500), (5000, 40)]))
    logits = draw(tensors(st.just((rows, classes)), st.sampled_from([0.0, 90.0, 1e30, float("nan"), -float("inf")])))
    if draw(st.booleans()):
        logits = (logits * 2).round()
    labels = torch.randint(0, classes, (rows,), generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    labels[: draw(st.integers(0, rows))] = draw(st.sampled_from([0, -100, classes + 5]))
    return logits, labels


@settings(deadline=None, max_examples=150)
@given(predictions())
def test_predictions_are_the_same(call):
    term = Term("cross_entropy", F.cross_entropy, call, {}, 0.0, 0, None)
    native: Any = confidence.native(term)
    selected = confidence.select(term)
    assert selected is not None
    parts, reduce = selected
    with np.errstate(all="ignore"):
        expected = reduce([part.numpy() for part in parts])
    if expected is None:
        assert native is None
        return
    for name in expected._fields:
        mine, theirs = getattr(native, name), getattr(expected, name)
        if theirs is None:
            assert mine is None, name
        elif name == "confidence":  # a probability at the edge of two bins may fall on either side
            assert np.abs(np.cumsum(mine - theirs)).max() <= 2
            assert mine.sum() == theirs.sum()
        else:
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_unit_is_dead_after_512_silent_samples():
    seen = Activations()
    output = torch.ones(256, 4)
    output[:, 1] = 0.0
    for expected in (math.nan, 0.25):
        seen.begin()
        seen.see("layer", nn.ReLU, output, False, Fetch())
        np.testing.assert_equal(seen._now["layer"].dead, expected)
    output[100, 1] = math.nan  # whatever else it is, it is not silent
    seen.begin()
    seen.see("layer", nn.ReLU, output, False, Fetch())
    assert seen._now["layer"].dead == 0.0


@pytest.mark.parametrize(
    "other",
    [
        torch.ones(4, 4).double(),
        torch.ones(4, 4).bfloat16(),
        torch.ones(4, 6).t(),
        torch.ones(4, 4).to_sparse(),
        torch.ones(4, 4, device="meta"),
        torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last),
        np.ones(4, np.float32),
        None,
    ],
    ids=str,
)
def test_what_is_no_plain_tensor_is_left_to_torch(other):
    assert kernel.norms([torch.ones(3), other]) is None
    assert kernel.snapshot([other], 16) is None
    assert kernel.moments(other, 16) is None
    assert kernel.activation(other, 16, activations.EVERYWHERE, None, False, 1, 1) is None


def test_a_number_for_each_unit_is_needed():
    with pytest.raises(ValueError, match="unit"):
        kernel.activation(torch.ones(4, 4), 16, activations.EVERYWHERE, bytearray(8), False, 1, 1)


def test_an_extension_that_does_not_load_is_done_without():
    code = """
import sys
sys.modules["nnwatch.probes._kernel"] = None
import torch
from nnwatch.probes import fastest, kernel, lane
print(kernel.native, fastest.Fastest is lane.Lane, kernel.norms([torch.ones(3)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "True", "None"]
    assert done.stderr == ""
