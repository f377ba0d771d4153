"""How often a line will run, read from its source: compared with how often it does run, over many little scripts."""

from __future__ import annotations

import itertools
import linecache
import textwrap
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import event, given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from nnwatch.probes.rounds import Rounds, rounds

_numbers = itertools.count()


def told(source: str, **names: Any) -> tuple[int | None, int, str]:
    """What ``rounds`` says at the first ``train()`` of a script, how often the script calls it, and what was said."""
    said: list[Rounds | None] = []
    calls = 0

    def train() -> None:
        nonlocal calls
        if not calls:
            loader = names.get("loader")
            said.append(rounds([], len(loader) if loader is not None else None))
        calls += 1

    path = f"/nowhere/script{next(_numbers)}.py"
    source = textwrap.dedent(source)
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    script = compile(source, path, "exec")
    with ThreadPoolExecutor(1) as pool:  # whose stack holds no other library's loops
        pool.submit(exec, script, {"train": train, "__name__": "script", **names}).result()
    linecache.cache.pop(path)
    return (said[0].times, calls, said[0].said) if said and said[0] is not None else (None, calls, "")


def loader(batches: int) -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.zeros(batches, 1)), batch_size=1)


UNDERSTOOD = [
    "for epoch in range(3):\n    for b in loader:\n        train()",
    "for epoch in range(1, 3 + 1):\n    for i, b in enumerate(loader):\n        train()",
    "for epoch in tqdm(range(args.epochs)):\n    for b in tqdm(loader, desc='x'):\n        train()",
    "for epoch in trange(3): train()",
    "for epoch in range(Config.epochs):\n    for x, y in zip(loader, count()):\n        train()",
    "for i, b in enumerate(islice(loader, 3)):\n    train()",
    "for i, b in enumerate(loader):\n    if i >= 3:\n        break\n    train()",
    "for i, b in enumerate(loader):\n    train()\n    if i == 3:\n        break",
    "for i, b in enumerate(loader, 1):\n    train()\n    if i + 1 > 3:\n        break",
    "for i, b in enumerate(loader):\n    if args.limit is not None and i >= args.limit:\n        break\n    train()",
    "step = 0\nwhile step < 7:\n    train()\n    step += 1",
    "step = 0\nwhile step <= 7:\n    step += 1\n    train()",
    "step = 1\nwhile 7 > step:\n    train()\n    step += 2",
    "step = 0\nwhile step < 7:\n    for b in loader:\n        train()\n        step += 1",
    "step = 0\nwhile step < 7:\n  for b in loader:\n    train()\n    step += 1\n    if step >= 7:\n      break",
    "epoch = 0\nwhile epoch < 3:\n    for b in loader:\n        train()\n    epoch += 1",
    "step = 0\nwhile True:\n    train()\n    step += 1\n    if step == 7:\n        break",
    "def fit(n):\n    for e in range(n):\n        once()\ndef once():\n    for b in loader:\n        train()\nfit(3)",
    "def fit(n):\n  s = 0\n  for b in cycle(loader):\n    train()\n    s += 1\n    if s >= n:\n      return\nfit(13)",
    "best = 0\nfor epoch in range(4):\n    for b in loader:\n        train()\n    if epoch > 99:\n        break",
    "for a in (0.1, 0.2):\n    for b in [1, 2, 3]:\n        train()",
    "for a, b in product(range(3), range(2)):\n    train()",
]
"""Each has one right answer, and it is given."""


@pytest.mark.parametrize("source", UNDERSTOOD)
def test_loops_that_are_understood(source):
    class Config:
        epochs = 3

    def tqdm(iterable, **_):
        return iterable

    times, calls, _ = told(
        source,
        loader=loader(5),
        args=SimpleNamespace(epochs=4, limit=None),
        Config=Config,
        tqdm=tqdm,
        trange=range,
        islice=itertools.islice,
        count=itertools.count,
        cycle=itertools.cycle,
        product=itertools.product,
    )
    assert times == calls


NOT_UNDERSTOOD = [
    "xs = iter(range(9))\nwhile next(xs, None) is not None:\n    train()",
    "n = 0\nwhile n < 9:\n    train()\n    if n % 2 or True:\n        n += 1",
    "[train() for _ in range(3)]",
    "s = 0\nfor e in range(5):\n  for b in loader:\n    train()\n    s += 1\n    if s >= 8:\n      break",
    "for b in (x for x in range(4)):\n    train()",
    "left = 3\nfor b in loader:\n    train()\n    left -= 1\n    if left == 0:\n        break",
]
"""No answer is better than a wrong one."""


@pytest.mark.parametrize("source", NOT_UNDERSTOOD)
def test_loops_that_are_not_understood(source):
    times, calls, _ = told(source, loader=loader(5))
    assert calls
    assert times is None


_FOR = st.sampled_from(
    [
        "for {i} in range({n}):",
        "for {i} in range(2, {n} + 2):",
        "for {i}, _ in enumerate(range({n})):",
        "for {i}, _ in enumerate(loader):",
        "for {i} in items:",
    ]
)
_END = st.sampled_from(["if {name} >= {limit}: break", "if {name} == {limit}: break", "if {name} > {limit}: break"])


@st.composite
def scripts(draw: Any) -> str:
    """Up to three loops in one another, each perhaps with a counter of its own, and tests of what is counted."""
    depth = draw(st.integers(1, 3))
    head: list[str] = []
    tail: list[str] = []
    first = ["total = 0"]
    for level in range(depth):
        pad, body = "    " * level, "    " * (level + 1)
        name, n, limit = f"i{level}", draw(st.integers(1, 4)), draw(st.integers(1, 9))
        if draw(st.integers(0, 3)) == 0:
            first_line = [f"{pad}{name} = 0"] if draw(st.booleans()) or not level else []
            if not first_line:
                first.append(f"{name} = 0")
            head += [*first_line, f"{pad}while {name} < {n}:"]
            count = [f"{body}{name} += 1"]
        else:
            head.append(pad + draw(_FOR).format(i=name, n=n))
            count = []
        ends = []
        if draw(st.integers(0, 2)) == 0:
            watched = draw(st.sampled_from([name, "total", name]))
            ends = [body + draw(_END).format(name=watched, limit=limit)]
        before = draw(st.booleans())
        (head if before else tail).extend(ends + count) if before else tail.insert(0, "\n".join(count + ends))
    pad = "    " * depth
    counted = [f"{pad}total += 1"] if draw(st.booleans()) else []
    return "\n".join([*first, *head, f"{pad}train()", *counted, *(line for line in tail if line)]) + "\n"


@given(scripts())
def test_an_answer_is_right(source):
    times, calls, _ = told(source, loader=loader(3), items=[1, 2])
    assert times is None or not calls or times == calls, source
    event("answered" if times is not None else "not answered")
