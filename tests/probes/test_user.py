"""nnwatch.log: values of the script's own, at the right step, and never in its way."""

from __future__ import annotations

import numpy as np
import pytest

from .harness import run

LOGGED = """
    import json, sys, threading
    import numpy as np
    import torch, torch.nn as nn, torch.nn.functional as F
    import nnwatch
    assert not {"msgspec", "psutil", "textual"} & set(sys.modules)
    nnwatch.log(before=0.5)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    norms = []
    for step in range(12):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(torch.ones(4, 3)), torch.zeros(4, dtype=torch.long))
        loss.backward()
        norms.append(model.weight.grad.norm().item())
        nnwatch.log(gradient=model.weight.grad.norm())
        optimizer.step()
        nnwatch.log(loss=loss, twice=np.float32(2 * step), whole=np.int64(step))
        nnwatch.log(flag=step % 2 == 0, one=np.ones((1, 1)))
    thread = threading.Thread(target=lambda: nnwatch.log(elsewhere=1.0))
    thread.start()
    thread.join()
    print(json.dumps(norms))
"""


def test_values_are_recorded_at_their_step():
    done = run(LOGGED)
    assert done.returncode == 0, done.stderr
    assert not [event for event in done.events if event["name"] in ("probe.failed", "notice")]
    assert (done.steps("user.before"), list(done.scalars("user.before"))) == ([0], [0.5])
    for name in ("gradient", "loss", "twice", "whole", "flag", "one"):
        assert done.steps(f"user.{name}") == list(range(1, 13)), name
    np.testing.assert_allclose(done.scalars("user.gradient"), done.printed(), rtol=1e-6)
    np.testing.assert_array_equal(done.scalars("user.loss"), done.scalars("loss.train"))
    np.testing.assert_array_equal(done.scalars("user.twice"), 2 * np.arange(12))
    np.testing.assert_array_equal(done.scalars("user.flag"), [1, 0] * 6)
    assert "user.elsewhere" not in done.series


WRONG = """
    import sys
    import torch, torch.nn.functional as F
    import nnwatch
    w = torch.ones(3, requires_grad=True)
    for step in range(3):
        (w ** 2).sum().backward()
        nnwatch.log(**{
            "word": "high", "none": None, "list": [1.0], "many": torch.ones(3), "complex": 1j,
            "complex tensor": torch.ones((), dtype=torch.complex64), "x" * 200: 1.0, "two\\nlines": 1.0, "": 1.0,
        })
        nnwatch.log(nan=float("nan"), huge=10**400, fine=step)
        torch.vmap(lambda row: nnwatch.log(inside=row.sum()) or row)(torch.ones(2, 2))
    for number in range(300):
        nnwatch.log(**{f"name {number}": 1.0})
    print(1)
"""


def test_wrong_input_is_left_out_and_told_once():
    done = run(WRONG)
    assert (done.returncode, done.stderr) == (0, "")
    assert not [event for event in done.events if event["name"] == "probe.failed"]
    assert done.event("notice")["data"]["text"] == "nnwatch.log left out word: a value of type str is not a number"
    assert len([event for event in done.events if event["name"] == "notice"]) == 1
    own = {name for name in done.series if name.startswith("user.")}
    assert {"user.nan", "user.fine"} < own
    assert len(own) < 256
    assert not own & {"user.word", "user.many", "user.complex", "user.inside", "user.huge", "user."}
    assert list(done.scalars("user.fine")) == [0, 1, 2]
    assert np.isnan(done.scalars("user.nan")).all()


@pytest.mark.parametrize("how", ["plain", "disabled"])
def test_it_does_nothing_in_a_process_that_is_not_watched(how):
    script = "import nnwatch\nnnwatch.log(loss=1.0, word='x')\nimport torch\nnnwatch.log(loss=torch.ones(3))\nprint(1)"
    from .harness import PACKAGE

    if how == "plain":
        done = run(script, watched=False, extra={"PYTHONPATH": str(PACKAGE.parent)})
    else:
        done = run(script, extra={"NNWATCH_DISABLE": "1"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
    assert not done.series
