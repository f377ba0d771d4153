"""The step's pass made again: true values where it can be made, nothing felt of it anywhere."""

from __future__ import annotations

import numpy as np
import pytest

from .harness import Recorded, run

SCRIPT = """
    import gc, hashlib, json, random, sys
    import numpy as np
    import torch, torch.nn as nn, torch.nn.functional as F

    COUNT = 0
    SEEN = []
    RNG = torch.Generator().manual_seed(3)
    OUTSIDE = nn.BatchNorm1d(8)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.norm, self.drop = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3)
            self.fc2 = nn.Linear(8, 3)
        def hidden(self, x):
            return self.drop(torch.tanh(self.norm(self.fc1(x))))
        def forward(self, x):
            return self.fc2(self.hidden(x))

    class Plain(Net):
        def hidden(self, x):
            return torch.tanh(self.fc1(x))

    class Counts(Net):                    # attributes that a pass changes, and numpy's and Python's random numbers
        calls, state = 0, None
        def hidden(self, x):
            self.calls += 1
            h = super().hidden(x) * (1 + 0.01 * np.random.rand()) + 0.01 * random.random()
            self.state = h.detach().mean(0) if self.state is None else 0.9 * self.state + 0.1 * h.detach().mean(0)
            return h + 0.1 * self.state

    class Appends(Net):                   # put back, and not done again
        def __init__(self):
            super().__init__()
            self.history = []
        def hidden(self, x):
            self.history.append(x.mean().item())
            return super().hidden(x) + 1e-3 * len(self.history)

    class Seen(Net):
        def hidden(self, x):
            SEEN.append(x.mean().item())
            return super().hidden(x) + 1e-3 * len(SEEN)

    class Prints(Net):
        def hidden(self, x):
            print("pass", self.training)
            return super().hidden(x)

    class Global(Net):
        def hidden(self, x):
            global COUNT
            COUNT += 1
            return super().hidden(x) + 1e-3 * COUNT

    class Generator(Net):
        def hidden(self, x):
            return super().hidden(x) + 0.1 * torch.randn(8, generator=RNG)

    class Outside(Net):
        def hidden(self, x):
            return OUTSIDE(super().hidden(x))

    class Fails(Net):
        def forward(self, x):
            if not torch.is_grad_enabled():
                raise RuntimeError("not here")
            return super().forward(x)

    class InPlace(Net):
        def forward(self, x):
            x.mul_(1.01)
            return super().forward(x)

    class Loss(Net):
        def forward(self, x, labels=None):
            logits = super().forward(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.rnn, self.head = nn.Embedding(9, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 9)
        def forward(self, tokens):
            return self.head(self.rnn(self.embed(tokens))[0])

    def fit(model, x, y, loss, hook=False, accumulate=1, closure=False):
        out, log = [], []
        if hook:
            model.fc1.register_forward_hook(lambda m, a, o: log.append(o.sum().item()))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for step in range(40):
            part = slice(16 * (step % 4), 16 * (step % 4) + 16)
            def evaluate():
                optimizer.zero_grad()
                for _ in range(accumulate):
                    value = loss(model, x[part], y[part]) / accumulate
                    value.backward()
                return value
            out.append((optimizer.step(evaluate) if closure else (evaluate(), optimizer.step())[0]).item())
        digest = hashlib.sha256(str([out, log, torch.rand(2), np.random.rand(2), random.random()]).encode())
        for value in [*model.state_dict().values(), x]:
            digest.update(value.numpy().tobytes())
        for module in model.modules():
            digest.update(str([v for k, v in vars(module).items() if not k.startswith("_")]).encode())
        return [out[-1], digest.hexdigest()]

    def case(which):
        torch.manual_seed(1); np.random.seed(1); random.seed(1)
        x = torch.randn(64, 6)
        y = x[:, :3].argmax(1)
        plain = lambda model, a, b: F.cross_entropy(model(a), b)
        if which == "loss inside":
            return fit(Loss(), x, y, lambda model, a, b: model(a, labels=b)["loss"])
        if which == "language":
            t = torch.randint(0, 9, (64, 7))
            shifted = lambda m, a, b: F.cross_entropy(m(a)[:, :-1].reshape(-1, 9), b[:, 1:].reshape(-1))
            return fit(Sequence(), t, t, shifted)
        if which == "log softmax":
            return fit(Plain(), x, y, lambda model, a, b: F.nll_loss(F.log_softmax(model(a), 1), b))
        if which == "autoencoder":
            model = nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 6))
            return fit(model, x, x, lambda m, a, b: F.mse_loss(m(a), b))
        if which == "hand-written":
            return fit(Net(), x, y, lambda model, a, b: -model(a).log_softmax(1)[torch.arange(16), b].mean())
        if which == "hook":
            return fit(Net(), x, y, plain, hook=True)
        if which == "accumulation":
            return fit(Net(), x, y, plain, accumulate=2)
        if which == "closure":
            return fit(Net(), x, y, plain, closure=True)
        return fit(globals()[which](), x, y, plain)

    cases = sys.argv[1:]
    out = []
    for which in cases:
        out.append(case(which))
        gc.collect()
    print(json.dumps(out))
"""
MEASURED = ("Plain", "Net", "Counts", "loss inside", "language", "log softmax", "autoencoder")
"""All three passes can be made."""
NOT = (
    *("Appends", "Seen", "Prints", "Global", "Generator", "Outside", "Fails", "InPlace"),
    *("hook", "accumulation", "closure"),
)
"""Where a pass could be felt, or its loss is not known."""
CASES = (*MEASURED, "hand-written", *NOT)


@pytest.fixture(scope="module")
def done() -> Recorded:
    """Each case is a segment: another model, trained when the one before is gone."""
    found = run(SCRIPT, args=CASES)
    assert found.returncode == 0, found.stderr
    assert not [event for event in found.events if event["name"] == "probe.failed"], found.events
    assert len(found.segments) == len(CASES)
    return found


def test_every_training_is_the_same_bit_for_bit(done):
    bare = run(SCRIPT, args=CASES, watched=False)
    for which, one, other in zip(CASES, done.printed(), bare.printed(), strict=True):
        assert one == other, which
    assert done.stdout == bare.stdout
    assert done.stderr == bare.stderr


def gains(done: Recorded, which: str, metric: str = "step.gain") -> dict[int, float]:
    segment = CASES.index(which)
    found = [(step, float(value[0])) for step, there, value in done.series.get(metric, []) if there == segment]
    return {step: value for step, value in found if np.isfinite(value)}


@pytest.mark.parametrize("which", MEASURED)
def test_all_three_are_measured_where_they_can_be(done, which):
    assert [*gains(done, which)] == [2, 4, 8, 12, 16, 20]
    assert [*gains(done, which, "loss.train.eval")] == [4, 16]
    permuted = gains(done, which, "loss.permuted")
    assert [*permuted] == ([] if which == "autoencoder" else [4, 16])
    if permuted and which != "language":
        assert permuted[16] > gains(done, which, "loss.train.eval")[16]  # the net has learned from its inputs


def test_a_loss_written_by_hand_is_measured_once_it_is_known(done):
    assert [*gains(done, "hand-written")] == [4, 8, 12, 16, 20]
    assert [*gains(done, "hand-written", "loss.train.eval")] == [4, 16]


@pytest.mark.parametrize("which", NOT)
def test_nothing_is_measured_where_it_could_be_felt(done, which):
    assert not gains(done, which, "loss.train.eval")
    assert not gains(done, which)


BY_HAND = """
    import copy, json
    import torch, torch.nn as nn, torch.nn.functional as F

    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    x = torch.randn(64, 6)
    y = x[:, :3].argmax(1)
    gain, evaluated = {}, {}
    for step in range(1, 21):
        random, before = torch.get_rng_state(), copy.deepcopy(model.state_dict())
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if HAND:
            model.eval()
            with torch.no_grad():
                evaluated[step] = F.cross_entropy(model(x), y).item()
            model.train()
        optimizer.step()
        if HAND:
            after, buffers = torch.get_rng_state(), [b.clone() for b in model.buffers()]
            torch.set_rng_state(random)
            with torch.no_grad():
                gain[step] = 1 - F.cross_entropy(model(x), y).item() / loss.item()
            torch.set_rng_state(after)
            for buffer, kept in zip(model.buffers(), buffers):
                buffer.copy_(kept)
    print(json.dumps([gain, evaluated]))
"""


def test_the_values_are_those_measured_by_hand():
    gain, evaluated = run(BY_HAND.replace("HAND", "True"), watched=False).printed()
    seen = run(BY_HAND.replace("HAND", "False"))
    for metric, expected in (("step.gain", gain), ("loss.train.eval", evaluated)):
        found = {step: float(value[0]) for step, _, value in seen.series[metric] if np.isfinite(value[0])}
        assert found
        for step, value in found.items():
            assert value == pytest.approx(expected[str(step)], rel=1e-4, abs=1e-6), (metric, step)
