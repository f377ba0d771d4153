"""What a classifier's outputs are said to be, against torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnwatch.probes import confidence
from nnwatch.probes.fetch import Fetch
from nnwatch.probes.loss import Term


def predicted(output, target, name="cross_entropy", **options):
    term = Term(name, getattr(F, name), (output, target), options, None, 0, None)
    selected = confidence.select(term)
    assert selected is not None
    parts, reduce = selected
    found = []
    Fetch()(parts, lambda arrays: found.append(reduce(arrays)))
    return found[0]


def test_a_batch_of_logits():
    torch.manual_seed(0)
    logits, target = 3 * torch.randn(50, 4), torch.randint(0, 4, (50,))
    found = predicted(logits, target)
    right = logits.argmax(1) == target
    assert found.accuracy == pytest.approx(right.float().mean().item())
    np.testing.assert_array_equal(found.right, torch.bincount(target[right], minlength=4))
    np.testing.assert_array_equal(found.targets, torch.bincount(target, minlength=4))
    np.testing.assert_array_equal(found.predicted, torch.bincount(logits.argmax(1), minlength=4))
    assert found.logz == pytest.approx(logits.logsumexp(1).mean().item(), rel=1e-5)
    assert found.of_target == pytest.approx(logits.softmax(1)[range(50), target].mean().item(), rel=1e-5)
    assert found.ignored == 0


def test_segmentation_with_ignored_pixels():
    torch.manual_seed(0)
    logits, target = torch.randn(3, 5, 6, 7), torch.randint(0, 5, (3, 6, 7))
    target[:, :2] = 255
    found = predicted(logits, target, ignore_index=255)
    kept = target != 255
    flat = logits.movedim(1, -1)[kept]
    assert found.ignored == pytest.approx(1 / 3)
    assert found.logz == pytest.approx(flat.logsumexp(1).mean().item(), rel=1e-5)
    assert found.of_target == pytest.approx(
        (-F.cross_entropy(flat, target[kept], reduction="none")).exp().mean().item()
    )
    assert found.targets.sum() == kept.sum()


def test_bfloat16_and_log_probabilities():
    torch.manual_seed(0)
    logits, target = torch.randn(20, 3).bfloat16(), torch.randint(0, 3, (20,))
    assert predicted(logits, target).logz == pytest.approx(logits.float().logsumexp(1).mean().item(), rel=1e-5)
    found = predicted(logits.float().log_softmax(1), target, "nll_loss")
    assert found.logz == pytest.approx(0, abs=1e-6)


def test_what_is_not_a_number_is_no_error():
    logits, target = torch.full((8, 3), math.nan), torch.zeros(8, dtype=torch.long)
    found = predicted(logits, target)
    assert math.isnan(found.logz)
    assert found.confidence.sum() == 0
    assert predicted(torch.zeros(8, 3), torch.full((8,), 7)).of_target is None  # a label out of range
    assert predicted(torch.zeros(8, 3), torch.full((8,), -100)) is None
