"""What a loss function makes of the losses of its elements, in torch's new words and its old ones."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nnwatch.probes import reduction
from nnwatch.probes.loss import Term

from .harness import watched
from .training import approx, train

X = torch.rand(6, 5, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
CLASSES = torch.tensor([0, 4, -100, 1, 1, 3])
CALLS = {
    "mse_loss": (X, X.flip(0)),
    "l1_loss": (X, X.flip(0)),
    "huber_loss": (X, X[:1]),
    "binary_cross_entropy": (X, X.flip(0)),
    "binary_cross_entropy_with_logits": (X, X.flip(0)),
    "kl_div": (X.log(), X.flip(0)),
    "cross_entropy": (X, CLASSES),
    "nll_loss": (X.log(), CLASSES),
    "cross_entropy of shares": (X, X.flip(0)),
}


def term(name, *args, **kwargs):
    name = name.split()[0]
    return Term(name, getattr(F, name), args, kwargs, None, 0, None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
def test_the_mean_of_a_sum(name):
    function, args = getattr(F, name.split()[0]), CALLS[name]
    summed = term(name, *args, reduction="sum")
    assert reduction.of(summed) == "sum"
    torch.testing.assert_close(reduction.averaged(summed, function(*args, reduction="sum")), function(*args))


@pytest.mark.parametrize(
    ("args", "kwargs", "wanted"),
    [
        ((), {}, "mean"),
        ((), {"size_average": False}, "sum"),
        ((), {"reduce": False}, "none"),
        ((), {"size_average": False, "reduction": "mean"}, "sum"),
        ((None, False), {}, "sum"),
        ((None, None, None, "sum"), {}, "sum"),
    ],
)
def test_old_names_and_places(args, kwargs, wanted):
    assert reduction.of(term("binary_cross_entropy", X, X, *args, **kwargs)) == wanted


def test_of_a_function_without_a_signature_its_names_count():
    assert reduction.of(Term("own", max, (X, X), {"reduction": "sum"}, None, 0, None)) == "sum"


def test_a_weighted_sum_stays_one():
    weighted = term("cross_entropy", X, CLASSES, torch.ones(5), reduction="sum")
    total = torch.tensor(7.0)
    assert reduction.averaged(weighted, total) == total


def test_validation_summed_up_is_told_as_the_mean_that_is_trained_on(tmp_path):
    data = [(torch.randn(8, 4), torch.randint(0, 3, (8,)))]
    val = torch.randn(2, 5, 4), torch.randint(0, 3, (2, 5))
    means = []

    def after(step, model):
        with torch.no_grad():
            for a, b in zip(*val, strict=True):
                output = model(a)
                means.append(-output.log_softmax(1)[range(5), b].mean().item())
                F.cross_entropy(output, b, reduction="sum")

    done = watched(tmp_path, lambda: train(lambda: torch.nn.Linear(4, 3), data, F.cross_entropy, 3, after))
    assert done.steps("loss.val") == [1, 1, 2, 2, 3, 3]
    approx(done.scalars("loss.val"), means)
