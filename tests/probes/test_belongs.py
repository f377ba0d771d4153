"""Do targets belong to their samples, does a model see what it is asked for, is anything kept, does a step sleep?"""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes import each, sequence
from nnwatch.probes.ctc import by_sample
from nnwatch.probes.emit import Emitter
from nnwatch.probes.fetch import Fetch
from nnwatch.probes.heap import Heap, in_use
from nnwatch.probes.loss import Term
from nnwatch.probes.match import Match

from .harness import watched


def _term(function, output, target, **kwargs) -> Term:
    return Term(function.__name__, function, (output, target), kwargs, None, 0, None)


def _seen(match: Match, *terms: Term) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    match.see(terms, lambda metric, values, labels: found.update({metric: values.tolist()}), "target")
    return found


def _match(*term, **kwargs) -> dict[str, float]:
    found = _seen(Match(Emitter([], 0), Fetch()), _term(*term, **kwargs))
    return {metric: value for metric, (value,) in found.items()}


def test_own_targets_fit_better_than_those_of_others():
    labels = torch.arange(60) % 3
    sure = 4 * F.one_hot(labels, 3).float()
    found = _match(F.cross_entropy, sure, labels)
    assert found == {"target.match": 1.0, "target.pairs": 30.0}  # 30 rows further on the labels are the same
    assert _match(F.cross_entropy, -sure, labels)["target.match"] == 0.0
    assert _match(F.cross_entropy, torch.zeros(60, 3), labels)["target.match"] == 0.5
    rare = (torch.arange(60) % 7 == 0).float()
    assert _match(F.binary_cross_entropy_with_logits, rare - 9, rare)["target.match"] == 1.0  # none is called likely
    values = torch.linspace(0, 1, 40)[:, None]
    assert _match(F.mse_loss, values.clone(), values)["target.match"] == 1.0
    shares = F.softmax(torch.randn(40, 5, generator=torch.Generator().manual_seed(0)), 1)
    assert _match(F.kl_div, shares.log(), shares, reduction="batchmean")["target.match"] == 1.0


def test_what_cannot_be_compared_is_absent():
    assert _match(F.mse_loss, torch.randn(40, 1), torch.ones(40, 1)) == {}
    assert _match(F.cross_entropy, torch.randn(2, 3), torch.tensor([0, 1])) == {}
    assert _match(F.mse_loss, torch.randn(40), torch.randn(())) == {}


def test_kinds_of_loss_calls_are_told_apart_and_keep_their_places():
    match = Match(Emitter([], 0), Fetch())
    values, labels = torch.linspace(0, 1, 8), torch.arange(8) % 2
    value, label = _term(F.mse_loss, values.clone(), values), _term(F.cross_entropy, torch.zeros(8, 2), labels)
    assert _seen(match, value, label) == {"target.match": [1.0, 0.5], "target.pairs": [8.0, 4.0]}
    other = _term(F.cross_entropy, 4 * F.one_hot(labels, 2).float(), labels)
    assert _seen(match, value, label, other)["target.match"] == [1.0, 0.75]  # a kind is a mean over its calls
    assert np.isnan(_seen(match, label)["target.match"][0])


def test_a_prediction_of_several_targets_is_none_of_theirs():
    labels = torch.arange(8) % 2
    logits = 4 * F.one_hot(labels, 2).float()
    mixed = [_term(F.cross_entropy, logits, labels), _term(F.cross_entropy, logits, labels.flip(0))]
    assert _seen(Match(Emitter([], 0), Fetch()), *mixed) == {}


class Reader(nn.Module):
    """Letters, told from those before them, or, where it ``peeks``, from themselves."""

    def __init__(self, peeks: bool) -> None:
        super().__init__()
        self.peeks = peeks
        self.letters, self.rnn, self.head = nn.Embedding(9, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 9)

    def forward(self, x, y=None):
        given = x if y is None else y if self.peeks else F.pad(y, (1, 0))[:, :-1]
        found = self.rnn(self.letters(given))[0]
        return self.head(found if y is not None or not self.peeks else found + found.flip(1))


@pytest.mark.parametrize("further", [False, True], ids=["a language model", "a decoder"])
@pytest.mark.parametrize("peeks", [False, True])
def test_a_model_that_sees_what_it_is_asked_for(tmp_path, peeks, further):
    def run():
        torch.manual_seed(0)
        model = Reader(peeks)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(18):
            text = torch.randint(0, 9, (6, 12))
            out = model(torch.randint(0, 9, (6, 12)), text.clone()) if further else model(text[:, :-1])
            loss = F.cross_entropy(out.flatten(0, 1), (text if further else text[:, 1:]).reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    done = watched(tmp_path, run)
    ahead = np.array(done.scalars("output.future"))
    ahead = ahead[np.isfinite(ahead)]
    assert len(ahead) == 2
    assert (ahead > 0.05).all() if peeks else (ahead == 0).all()
    assert ("loss.permuted.alone" in done.series) == further


def test_how_much_of_what_is_asked_for_is_shown():
    text = torch.arange(24).reshape(2, 12)
    asked = text.masked_fill(text % 3 != 0, -100)

    def shown(seen: torch.Tensor, target: torch.Tensor = asked) -> dict[str, float]:
        found: dict[str, float] = {}
        term = _term(F.cross_entropy, torch.zeros(24, 24), target.flatten())
        sequence.shown([(seen,), {}], term, Fetch(), found.__setitem__)
        return found

    assert shown(text) == {"target.shown": 1.0}
    assert shown(text.masked_fill(text % 6 == 0, 99)) == {"target.shown": 0.5}
    assert shown(text, text) == {}  # nothing is left out: it is to be copied
    assert shown(text[:, 1:]) == {}


@pytest.mark.skipif(in_use() is None, reason="another C library")
@pytest.mark.parametrize("keeps", ["graphs", "tensors", "nothing"])
def test_tensors_are_counted_where_memory_grows(keeps):
    found: dict[str, list[float]] = {}
    model, kept, heap = nn.Linear(64, 64), [], Heap()
    for step in range(1, 21):
        out = model(torch.randn(32, 64))
        if keeps != "nothing":
            kept.append(out if keeps == "graphs" else out.detach())
        del out
        heap.look(step, lambda metric, value: found.setdefault(metric, []).append(value))
    assert len(found["memory.heap"]) == 20
    if keeps == "nothing":
        assert "tensors.alive" not in found
    else:
        assert np.diff(found["memory.heap"]).min() > 32 * 64 * 4 - 1
        assert len(found["tensors.graph"]) == 3  # after 5, 10 and 20 looks
        counted = found["tensors.graph" if keeps == "graphs" else "tensors.alive"]
        assert np.diff(counted).tolist() == [5, 10]
        assert found["tensors.graph"][-1] - found["tensors.graph"][0] == (15 if keeps == "graphs" else 0)


@pytest.mark.skipif(sys.platform != "linux", reason="schedstat")
def test_a_step_that_sleeps(tmp_path):
    def run():
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for _ in range(18):
            loss = model(torch.randn(16, 4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            time.sleep(0.005)

    asleep = watched(tmp_path, run).scalars("step.idle")[1:]  # the first one has no beginning
    assert len(asleep) == 3
    assert (asleep >= 0.005).all()


@pytest.mark.parametrize("padded", [True, False])
def test_ctc_is_compared_by_sample(padded):
    """Each row says its own labels, blanks between them; all are one after the other or padded."""
    texts = [torch.tensor(text) for text in ([1, 2], [3, 1, 2], [2, 2], [3], [1, 1], [2, 3])]
    said = [torch.stack([text, torch.zeros_like(text)], 1).flatten() for text in texts]
    places = torch.tensor([len(row) for row in said])
    output = 9 * F.one_hot(torch.nn.utils.rnn.pad_sequence(said), 4).float().log_softmax(2)  # (places, rows, classes)
    lengths = torch.tensor([len(text) for text in texts])
    target = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=7) if padded else torch.cat(texts)
    term = Term("ctc_loss", F.ctc_loss, (output, target, places, lengths), {"zero_infinity": True}, None, 0, None)
    alike = by_sample(term)
    wanted = F.ctc_loss(output, torch.cat(texts), places, lengths, reduction="none", zero_infinity=True)
    torch.testing.assert_close(each.losses(alike, 9), wanted)
    found = _seen(Match(Emitter([], 0), Fetch()), alike)
    assert found == {"target.match": [1.0], "target.pairs": [6.0]}
    plain = _term(F.mse_loss, output, output)
    assert by_sample(plain) is plain
