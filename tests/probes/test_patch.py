"""What stands in the place of torch's functions passes for them, in Python and in C."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes import fastest
from nnwatch.probes.hooks import Patches
from nnwatch.probes.standby import Standby

from .lanes import KINDS

OUTPUT, TARGET = torch.eye(4)[:, :3] * 5, torch.tensor([0, 1, 2, 0])


class Model(nn.Module):
    """Has its loss inside."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.layer(x), y)


@pytest.fixture(params=KINDS)
def patched(request, tmp_path, monkeypatch):
    """The original function."""
    original = F.cross_entropy
    monkeypatch.setattr(fastest, "Fastest", KINDS[request.param])
    standby = Standby({"rings": [str(tmp_path)], "ring_bytes": 1 << 20, "budget": 0.01})
    patches = Patches(standby)
    yield original
    patches.remove()
    assert F.cross_entropy is original
    assert not standby.probes._failures


def test_it_looks_like_the_function(patched):
    made = F.cross_entropy
    assert made is not patched
    assert inspect.isfunction(made)
    assert inspect.signature(made) == inspect.signature(patched)
    assert (made.__name__, made.__module__, made.__doc__) == ("cross_entropy", "torch.nn.functional", patched.__doc__)
    assert "cross_entropy" in repr(made)
    assert made(OUTPUT, target=TARGET) == patched(OUTPUT, TARGET)
    assert torch.autograd.backward.__name__ == "backward"


def test_it_is_copied_and_pickled_by_name(patched):
    made = F.cross_entropy
    assert copy.deepcopy(made) is made
    assert copy.copy(made) is made
    assert pickle.loads(pickle.dumps(made)) is made
    assert b"nnwatch" not in pickle.dumps(made)


def test_it_becomes_a_method(patched):
    class Loss:
        function = F.cross_entropy
        plain = staticmethod(F.cross_entropy)

    with pytest.raises(TypeError):
        Loss().function(OUTPUT)  # type: ignore[misc]
    assert Loss.function(OUTPUT, TARGET) == Loss().plain(OUTPUT, TARGET) == patched(OUTPUT, TARGET)


@pytest.mark.parametrize("wrong", [((OUTPUT, TARGET + 7), {}), ((), {}), ((OUTPUT,), {"target": TARGET, "odd": 1})])
def test_its_errors_are_those_of_the_function(wrong, patched):
    args, kwargs = wrong
    errors = []
    for function in (patched, F.cross_entropy):
        with pytest.raises((IndexError, TypeError)) as caught:
            function(*args, **kwargs)
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_torch_script_compiles_it(patched):
    model = Model()
    expected = model(OUTPUT, TARGET)
    assert torch.jit.script(model)(OUTPUT, TARGET) == expected
    assert torch.jit.trace(model, (OUTPUT, TARGET))(OUTPUT, TARGET) == expected


def test_torch_compile_sees_no_more_than_the_function(patched):
    graphs = []

    def keep(graph, example):
        graphs.append([node.target.__name__ for node in graph.graph.nodes if node.op == "call_function"])
        return graph.forward

    torch._dynamo.reset()
    model = Model()
    compiled = torch.compile(model, backend=keep, fullgraph=True)
    assert compiled(OUTPUT, TARGET) == model(OUTPUT, TARGET)
    torch._dynamo.reset()
    assert graphs in ([["linear", "cross_entropy"]], [["linear", "cross_entropy_loss"]])
    (exported,) = torch.export.export(model, (OUTPUT, TARGET), strict=True).module()(OUTPUT, TARGET).reshape(1)
    assert exported == model(OUTPUT, TARGET)
