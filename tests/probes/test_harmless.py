"""The watched run is the user's run, bit for bit, and nothing of ours stays in it."""

from __future__ import annotations

import json
import textwrap
from importlib.machinery import SourceFileLoader

import pytest

from .harness import run

SCRIPT = """
    import hashlib, json, sys
    assert "torch" not in sys.modules and "numpy" not in sys.modules
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset

    def by_hand(logits, labels):
        return -logits.log_softmax(1)[range(len(labels)), labels].mean()

    def train(model, optimizer, x, y, criterion=F.cross_entropy):
        loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True)
        losses = []
        for epoch in range(5):
            model.train()
            for a, b in loader:
                optimizer.zero_grad()
                loss = criterion(model(a).flatten(0, -2), b.flatten())
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                losses.append(loss.item())
            model.eval()
            with torch.no_grad():
                losses.append(criterion(model(x).flatten(0, -2), y.flatten()).item())
        digest = hashlib.sha256()
        for value in model.state_dict().values():
            digest.update(value.numpy().tobytes())
        return losses, digest.hexdigest()

    MODELS
    out = []
    for make in (mlp, cnn, transformer):
        torch.manual_seed(3)
        out.append(train(*make()))
    out.append(train(*cnn(), criterion=by_hand))
    draws = [torch.rand(()).item(), sys.argv[1:], __name__]
    print(json.dumps([out, draws]))
"""
MODELS = """
    def mlp():
        model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(inplace=True), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 5))
        return model, torch.optim.Adam(model.parameters(), lr=3e-3), torch.randn(96, 20), torch.randint(0, 5, (96,))

    def cnn():
        model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(8, 8, 3),
                              nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        return model, optimizer, torch.randn(96, 3, 12, 12), torch.randint(0, 5, (96,))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(30, 16)
            layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.2, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)
            self.head = nn.Linear(16, 30)
        def forward(self, tokens):
            mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
            return self.head(self.encoder(self.embed(tokens), mask=mask, is_causal=True))

    def transformer():
        model, tokens = Net(), torch.randint(0, 30, (96, 9))
        return model, torch.optim.AdamW(model.parameters(), lr=1e-3), tokens[:, :-1], tokens[:, 1:]
"""


@pytest.mark.slow
def test_bit_identical():
    """A perceptron, a convolutional network with batch norm and dropout, a transformer, one after another, and one of
    them by a loss that is written by hand."""
    script = textwrap.dedent(SCRIPT).replace("MODELS", textwrap.dedent(MODELS))
    bare = run(script, watched=False, args=("--lr", "3"))
    watched = run(script, args=("--lr", "3"))
    assert bare.returncode == watched.returncode == 0, watched.stderr
    assert watched.printed() == bare.printed()
    assert watched.stdout == bare.stdout
    assert watched.stderr == bare.stderr
    assert len(watched.segments) == 4
    assert len(watched.steps("loss.val", 3)) == 5
    for segment in range(4):
        assert len(watched.steps("loss.train", segment)) == 30
        assert len(watched.steps("act.std", segment)) > 18  # it was looked at closely all the while
    assert not [event for event in watched.events if event["name"] == "probe.failed"]


SURROUNDINGS = """
    import copy, io, json, os, pickle, sys
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.data import DataLoader, Dataset
    from torch.utils.checkpoint import checkpoint

    class Rows(Dataset):
        def __len__(self):
            return 64
        def __getitem__(self, i):
            generator = torch.Generator().manual_seed(i)
            return torch.randn(6, generator=generator), i % 3

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.act, self.b = nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)
            self.saved = None
        def forward(self, x):
            h = self.act(self.a(x))
            if self.saved == "now":                       # in the middle of a sampled pass
                self.saved = (pickle.dumps(self), copy.deepcopy(self))
            return self.b(F.relu(h))

    def hooks(module):
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())

    @torch.jit.script
    def scripted(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(a, b) + F.mse_loss(a, a)

    def main():
        torch.manual_seed(0)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        loader = DataLoader(Rows(), batch_size=8, num_workers=1)
        out = {}
        for x, y in loader:
            optimizer.zero_grad()
            if out.get("steps", 0) == 4:
                net.saved = "now"
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
            out["steps"] = out.get("steps", 0) + 1
            out.setdefault("armed", 0)
            out["armed"] += hooks(net)
            file = io.BytesIO()
            torch.save(net, file)
            out["left"] = hooks(net) + hooks(torch.load(io.BytesIO(file.getvalue()), weights_only=False))
            out["copied"] = hooks(copy.deepcopy(net))
        data, copied = net.saved
        out["inside"] = hooks(pickle.loads(data)) + hooks(copied)
        # a model that raises in a sampled pass, then goes on
        try:
            net(torch.zeros(2, 5))
        except RuntimeError:
            out["raised"] = True
        out["after_error"] = len(net.act._forward_hooks)
        out["modes"] = torch._C._len_torch_function_stack()
        # reentrant checkpoint: a backward inside the backward
        for _ in range(3):
            optimizer.zero_grad()
            x = torch.randn(8, 6, requires_grad=True)
            h = checkpoint(lambda v: net.act(net.a(v)), x, use_reentrant=True)
            F.cross_entropy(net.b(h), torch.zeros(8).long()).backward()
            optimizer.step()
            out["steps"] += 1
        out["scripted"] = scripted(torch.zeros(2, 3), torch.tensor([0, 1])).item()
        out["script_module"] = torch.jit.script(net.a)(torch.zeros(2, 6)).shape[0]
        out["traced"] = torch.jit.trace(net.act, torch.zeros(2, 6))(torch.ones(2, 6)).sum().item()
        out["vmap"] = torch.func.vmap(lambda v, t: F.mse_loss(v, t))(torch.ones(3, 2), torch.zeros(3, 2)).tolist()
        pid = os.fork()
        if pid == 0:
            F.cross_entropy(net(torch.randn(8, 6)), torch.zeros(8).long())
            os._exit(0)
        out["child"] = os.waitpid(pid, 0)[1]
        out["pickled"] = pickle.loads(pickle.dumps(Rows())).__class__.__module__
        out["function"] = pickle.loads(pickle.dumps(F.cross_entropy)) is F.cross_entropy
        import threading
        out["threads"] = threading.active_count()
        print(json.dumps(out))

    if __name__ == "__main__":
        main()
"""


@pytest.mark.slow
def test_saving_copying_forking_scripting_go_on_as_before():
    done = run(SURROUNDINGS)
    assert done.returncode == 0, done.stderr
    out = done.printed()
    assert out["armed"] > 0  # there were hooks, and none of them went along or stayed
    assert out["left"] == out["copied"] == out["inside"] == out["after_error"] == out["modes"] == 0
    assert out["raised"]
    assert done.steps("loss.train") == list(range(1, out["steps"] + 1))
    assert out["scripted"] == pytest.approx(1.0986, abs=1e-3)
    assert (out["script_module"], out["traced"], out["vmap"]) == (2, 12.0, [1.0] * 3)
    assert out["child"] == 0
    assert out["pickled"] == "__main__"
    assert out["function"]
    assert out["threads"] == 1
    assert len(done.segments) == 1  # neither the workers nor the child opened a ring
    assert not [event for event in done.events if event["name"] == "probe.failed"]


def test_the_boot_file_is_out_of_the_way(tmp_path):
    """The switch, a sitecustomize and a module nnwatch of the user's own, and where the probes cannot work."""
    probe = """
        import json, sys
        before = [type(finder).__module__ for finder in sys.meta_path]
        if len(sys.argv) > 1:
            import torch
            before += [hasattr(torch.autograd.backward, "__wrapped__"), type(torch.__spec__.loader).__module__]
        print(json.dumps(before))
    """
    on = run(probe, args=("torch",))
    assert on.printed()[-2:] == [True, SourceFileLoader.__module__]
    (hello,) = (on.job / "hello").iterdir()
    assert json.loads(hello.read_text())["error"] is None
    assert json.loads(hello.read_text())["torch"].startswith("2.")
    alone = run(probe, watched=False).printed()
    assert on.printed()[:-2] != alone  # what waits for torch to be imported
    assert run(probe, extra={"NNWATCH_DISABLE": "1"}).printed() == alone
    assert run(probe, python=("-I",)).printed() == alone

    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "sitecustomize.py").write_text("import sys\nsys.hidden = __file__\n")
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "nnwatch.py").write_text("mine = 1\n")
    (tmp_path / "script" / "probes.py").write_text("mine = 2\n")
    done = run(
        """
        import json, sys
        import torch, nnwatch, probes
        x = torch.ones(2, requires_grad=True)
        x.sum().backward()
        print(json.dumps([sys.hidden[-16:], sys.modules["sitecustomize"].__file__[-22:], nnwatch.mine, probes.mine,
                          hasattr(torch.autograd.backward, "__wrapped__")]))
        """,
        job=tmp_path,
        more_path=str(tmp_path / "theirs"),
    )
    assert done.returncode == 0, done.stderr
    assert done.printed()[1:] == ["theirs/sitecustomize.py"[-22:], 1, 2, True]
    assert len(done.steps("loss.train")) == 1


def test_no_room_for_a_ring_means_no_watching(tmp_path):
    done = run(
        """
        import torch
        x = torch.ones(2, requires_grad=True)
        for _ in range(3):
            torch.nn.functional.mse_loss(x, torch.zeros(2)).backward()
        print(1)
        """,
        rings=[str(tmp_path / "missing")],
    )
    assert (done.returncode, done.stderr, done.printed()) == (0, "", 1)


ENDING = """
    import os, signal, sys
    import torch, torch.nn as nn, torch.nn.functional as F
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(30):
        optimizer.zero_grad()
        F.mse_loss(model(torch.ones(8, 4)), torch.zeros(8, 2)).backward()
        optimizer.step()
        if step == 24:
            if sys.argv[1] == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("planted")
"""


def test_an_exception_is_told_and_changes_nothing():
    done, bare = run(ENDING, args=("raise",)), run(ENDING, args=("raise",), watched=False)
    assert done.returncode == bare.returncode == 1
    assert done.stderr.replace(str(done.job), "") == bare.stderr.replace(str(bare.job), "")
    assert done.steps("loss.train") == list(range(1, 26))
    told = done.event("exception")
    assert (told["step"], told["data"]["type"], told["data"]["message"]) == (25, "ValueError", "planted")
    assert 'raise ValueError("planted")' in told["data"]["traceback"]


def test_no_step_is_lost_when_the_process_is_killed():
    done = run(ENDING, args=("kill",))
    assert done.returncode == -9
    assert done.steps("loss.train") == list(range(1, 26))


INTERRUPTED = """
    import torch
    from torch import nn

    class Interrupted(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        model(torch.randn(8, 4)).sum().backward()
        optimizer.step()
    raise Interrupted
"""


def test_a_second_interrupt_while_the_script_ends_shows_nothing_of_ours():
    done = run(INTERRUPTED)
    assert done.returncode == 1
    assert "Interrupted" in done.stderr
    assert "atexit" not in done.stderr
    assert done.steps("loss.train") == [1, 2, 3]
