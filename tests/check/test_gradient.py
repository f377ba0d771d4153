"""The gradient of an output by its inputs: does a model look ahead, or mix its samples?"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnwatch.probes.trials.gradient import gradient
from nnwatch.probes.trials.sequence import order

from .subject import subject


class Attends(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.out = nn.Linear(8, 11)
        self.causal = causal

    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.out(F.scaled_dot_product_attention(x, x, x, is_causal=self.causal))


def of_tokens(causal: bool):
    torch.manual_seed(0)
    tokens = torch.randint(0, 11, (4, 9))
    x, y = tokens[:, :-1], tokens[:, 1:]
    loss = lambda p, t: F.cross_entropy(p.reshape(-1, 11), t.reshape(-1))  # noqa: E731
    return gradient(subject(Attends(causal), loss, x, y))


def test_a_model_that_looks_ahead_is_told_from_one_that_does_not():
    honest, leaking = of_tokens(causal=True), of_tokens(causal=False)
    assert honest["future"] == 0.0
    assert leaking["future"] > 0.2
    assert honest["shift"] == leaking["shift"] == 1
    assert honest["inputs"] == {"0": 1.0}
    assert honest["across"] == leaking["across"] == 0.0


class Translates(nn.Module):
    """An encoder and a decoder with attention: of the first one all may be seen, of the second what came before."""

    def __init__(self, causal: bool, first: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.layers = nn.Transformer(8, 2, 1, 1, 16, 0.0, batch_first=first)
        self.out = nn.Linear(8, 11)
        self.causal, self.time = causal, int(first)

    def forward(self, source, before):
        mask = self.layers.generate_square_subsequent_mask(before.shape[self.time]) if self.causal else None
        return self.out(self.layers(self.embedding(source), self.embedding(before), tgt_mask=mask))


def of_a_translation(causal: bool, length: int, first: bool = True, shifted: bool = True):
    """``length`` of the source; the target has 8 positions and is, for so long a source, equal to it."""
    torch.manual_seed(0)
    source = torch.randint(1, 11, (4, length))
    wanted = source.clone() if length == 8 else torch.randint(1, 11, (4, 8))
    before = torch.cat([torch.zeros(4, 1, dtype=torch.long), wanted[:, :-1]], 1) if shifted else wanted.clone()
    turned = [part if first else part.t() for part in (source, before, wanted)]
    loss = lambda p, t: F.cross_entropy(p.reshape(-1, 11), t.reshape(-1))  # noqa: E731
    return gradient(subject(Translates(causal, first), loss, (turned[0], turned[1]), turned[2]))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("first", [True, False], ids=["samples-first", "positions-first"])
@pytest.mark.parametrize("length", [8, 5])
def test_of_an_encoder_and_a_decoder_only_the_decoder_is_asked_for_its_future(length, first):
    honest, leaking = (of_a_translation(causal, length, first) for causal in (True, False))
    assert honest["future"] == 0.0
    assert leaking["future"] > 0.1
    assert honest["shift"] == leaking["shift"] == 1
    assert set(honest["inputs"].values()) == {1.0}
    assert honest["across"] == leaking["across"] == 0.0


def test_a_decoder_that_is_given_the_target_itself_is_told_of():
    assert of_a_translation(True, 5, shifted=False)["shift"] == 0


class Shifts(Attends):
    """Is given the target, and moves what is embedded on by a place."""

    def forward(self, tokens):
        x = F.pad(self.embedding(tokens), (0, 0, 1, 0))[:, :-1]
        return self.out(F.scaled_dot_product_attention(x, x, x, is_causal=True))


def test_a_model_that_shifts_its_input_itself_is_not_asked_to_copy():
    torch.manual_seed(0)
    tokens = torch.randint(0, 11, (4, 8))
    loss = lambda p, t: F.cross_entropy(p.reshape(-1, 11), t.reshape(-1))  # noqa: E731
    found = gradient(subject(Shifts(causal=True), loss, tokens, tokens.clone()))
    assert found["shift"] == 1
    assert found["future"] == 0.0


class Forecasts(nn.Module):
    """The next values of a series, by a convolution that looks at what came before, or around."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 3)
        self.before = before

    def forward(self, x):
        return self.conv(F.pad(x.transpose(1, 2), (self.before, 2 - self.before))).transpose(1, 2)


def test_a_series_that_is_predicted_is_asked_for_its_future_too():
    torch.manual_seed(0)
    series = torch.randn(4, 13, 2)
    honest, leaking = (
        gradient(subject(Forecasts(before), F.mse_loss, series[:, :-1], series[:, 1:])) for before in (2, 1)
    )
    assert honest["shift"] == leaking["shift"] == 1
    assert honest["future"] == 0.0
    assert leaking["future"] > 0.1


def test_padding_alone_says_nothing_of_the_order():
    tokens, tags = torch.zeros(8, 100, dtype=torch.long), torch.zeros(8, 100, dtype=torch.long)
    tokens[:, 0], tags[:, 0] = torch.arange(8), torch.arange(8) % 3
    assert order([tokens], tags) is None


class Mixes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x - x.mean(0))


def test_a_model_that_mixes_samples_is_found():
    torch.manual_seed(0)
    found = gradient(subject(Mixes(), F.mse_loss, torch.randn(4, 3), torch.randn(4, 2)))
    assert found["across"] == pytest.approx(0.5)


def test_batchnorm_alone_mixes_no_samples():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    found = gradient(subject(model, F.mse_loss, torch.randn(4, 3), torch.randn(4, 2)))
    assert found["across"] == 0.0
