"""How well the first rules name real faults, how silent they are on healthy runs, and what they cost.

    python -m tests.bench.score_first [--seed N] [NAME...]

Each scenario is a small real training (handwritten digits or the diabetes table of scikit-learn) in a process of
its own, with the probes in it; its ring becomes a session that the advisor judges. A faulty run counts as named
when the primary finding is *warn* or worse and is of a right rule; a healthy one as silent when none is. Where a
learning rate is to be changed the run is repeated with the proposed one. At the end stands what the rules cost, on
a made-up run of 200 layers. Seeds 0 and 1 are what thresholds were tuned on; another tells how much of it was luck.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnwatch.advisor.engine import Advisor
from nnwatch.advisor.verdict import Verdict, verdict
from nnwatch.frame import SEVERITIES, Block, End, Event, FieldSpec, Finding, Frame, Labels, Schema, Segment
from nnwatch.history import History
from nnwatch.ingest import Ids, Ingest
from tests.probes.harness import environment, make_boot

SCRIPT = """
import math, sys, torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits, load_diabetes
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(SEED)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32)
x = (x - x.mean()) / x.std()
y = torch.tensor(digits.target)
order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
x, y = x[order], y[order]
xt, yt, xv, yv = x[:1300], y[:1300], x[1300:], y[1300:]
batch, epochs, loss_fn, scheduler, clip = 64, 15, nn.CrossEntropyLoss(), None, None

def mlp(width=128, act=nn.ReLU):
    return nn.Sequential(nn.Linear(64, width), act(), nn.Linear(width, width), act(), nn.Linear(width, 10))

def cnn(norm=True):
    layers = [nn.Unflatten(1, (1, 8, 8))]
    for a, b in ((1, 16), (16, 32), (32, 32)):
        layers += [nn.Conv2d(a, b, 3, padding=1), *([nn.BatchNorm2d(b)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10))

class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.place = nn.Parameter(0.02 * torch.randn(8, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.1, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.body(self.embed(x.view(-1, 8, 8)) + self.place).mean(1))

SETUP

train = DataLoader(TensorDataset(xt, yt), batch, shuffle=True)
val = DataLoader(TensorDataset(xv, yv), 250)
for epoch in range(epochs):
    model.train()
    for a, b in train:
        loss = loss_fn(model(a), b)
        optimizer.zero_grad()
        loss.backward()
        if clip: nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if scheduler: scheduler.step()
    model.eval()
    with torch.no_grad():
        right = 0
        for a, b in val:
            out = model(a)
            loss_fn(out, b)
            right += (out.argmax(1) == b).sum().item() if b.dtype == torch.long else 0
print(round(right / len(xv), 3))
"""


class Scenario(NamedTuple):
    """``setup`` makes model and optimizer; ``named`` are the right rules, none for a healthy run."""

    name: str
    setup: str
    named: tuple[str, ...] = ()


def sgd(lr: float, momentum: float = 0) -> str:
    return f"optimizer = torch.optim.SGD(model.parameters(), lr={lr}, momentum={momentum})"


def adam(lr: float) -> str:
    return f"optimizer = torch.optim.Adam(model.parameters(), lr={lr})"


ADAM = "torch.optim.Adam"
HIGH = ("lr-too-high",)
LOW = ("lr-too-low",)
FAULTY = [
    Scenario("mlp sgd lr 10", f"model = mlp()\n{sgd(10)}", HIGH),
    Scenario("mlp sgd lr 3", f"model = mlp()\n{sgd(3)}", HIGH),
    Scenario("mlp momentum lr 1", f"model = mlp()\n{sgd(1, 0.9)}", HIGH),
    Scenario("mlp adam lr 0.3", f"model = mlp()\n{adam(0.3)}", HIGH),
    Scenario("mlp adam lr 1", f"model = mlp()\n{adam(1)}", HIGH),
    Scenario("cnn adam lr 0.3, no norm", f"model = cnn(False)\n{adam(0.3)}", HIGH),
    Scenario("cnn sgd lr 10, no norm", f"model = cnn(False)\n{sgd(10)}", HIGH),
    Scenario("transformer adam lr 0.3", f"model = Transformer()\n{adam(0.3)}", HIGH),
    Scenario("mlp rate grows to 10", f"model = mlp()\n{sgd(0.1)}\nscheduler = torch.optim.lr_scheduler.ExponentialLR("
             "optimizer, 1.02)", ("lr-too-high", "divergence")),
    Scenario("mlp adam lr 1e-6", f"model = mlp()\n{adam(1e-6)}", LOW),
    Scenario("mlp adam lr 1e-5", f"model = mlp()\n{adam(1e-5)}", LOW),
    Scenario("mlp sgd lr 1e-4", f"model = mlp()\n{sgd(1e-4)}", LOW),
    Scenario("cnn adam lr 1e-6", f"model = cnn()\n{adam(1e-6)}", LOW),
    Scenario("NaN in the input", f"model = mlp()\n{adam(1e-3)}\nxt[700, 3] = float('nan')", ("nan-input",)),
    Scenario("log of zero", f"model = nn.Sequential(mlp(), nn.ReLU())\n{adam(1e-3)}\n"
             "def loss_fn(out, y): return F.nll_loss(torch.log(out / out.sum(1, keepdim=True)), y)", ("nan-loss-fn",)),
    Scenario("sqrt(0) backward", f"model = mlp()\n{adam(1e-3)}\nxt[700] = 0\nclass Norm(nn.Module):\n"
             "    def forward(self, x): return x / (1 + x.pow(2).sum(1, keepdim=True).sqrt())\n"
             "model = nn.Sequential(Norm(), model)\nfirst = nn.Linear(64, 64, bias=False)\n"
             "model = nn.Sequential(first, model)\n" + adam(1e-3), ("nan-backward",)),
    Scenario("dead bias", f"model = mlp()\nnn.init.constant_(model[0].bias, -50)\n{adam(1e-3)}", ("dead-relu",)),
    Scenario("layer left out", "model = mlp()\noptimizer = torch.optim.Adam([*model[0].parameters(), "
             "*model[4].parameters()], lr=1e-3)", ("frozen-params",)),
    Scenario("detached layer", "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
             "        self.a, self.b, self.c = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)\n"
             "    def forward(self, x):\n        return self.c(self.b(self.a(x).relu().detach()).relu())\n"
             f"model = Net()\n{adam(1e-3)}", ("frozen-params", "detached-graph")),
    Scenario("learning rate 0", f"model = mlp()\n{sgd(0)}", ("frozen-params",)),
    Scenario("20 sigmoids", "model = nn.Sequential(nn.Linear(64, 64), nn.Sigmoid(), *[m for _ in range(19) for m in "
             f"(nn.Linear(64, 64), nn.Sigmoid())], nn.Linear(64, 10))\n{sgd(0.1)}", ("vanishing-gradient",)),
    Scenario("20 sigmoids, adam", "model = nn.Sequential(nn.Linear(64, 64), nn.Sigmoid(), *[m for _ in range(19) for m "
             f"in (nn.Linear(64, 64), nn.Sigmoid())], nn.Linear(64, 10))\n{adam(1e-3)}", ("vanishing-gradient",)),
    Scenario("overfit, 60 rows", f"model = mlp(256)\n{adam(1e-3)}\nxt, yt, epochs = xt[:60], yt[:60], 120",
             ("overfitting",)),
    Scenario("overfit, 200 rows, 20 wrong", f"model = mlp(256)\n{adam(1e-3)}\nxt, yt, epochs = xt[:200], "
             "yt[:200], 120\nyt[:20] = torch.randint(0, 10, (20,))", ("overfitting",)),
    Scenario("overfit, 30 % wrong labels", f"model = mlp(256)\n{adam(1e-3)}\nwrong = torch.rand(len(yt)) < 0.3\n"
             "yt[wrong] = torch.randint(0, 10, (int(wrong.sum()),))\nepochs = 40", ("overfitting",)),
    Scenario("exception", f"model = mlp()\n{adam(1e-3)}\nyt[700] = 10", ("crashed",)),
]  # fmt: skip
HEALTHY = [
    Scenario("mlp sgd lr 0.3", f"model = mlp()\n{sgd(0.3)}"),
    Scenario("mlp adam lr 1e-3", f"model = mlp()\n{adam(1e-3)}"),
    Scenario("mlp adam, 4 epochs", f"model = mlp()\n{adam(1e-3)}\nepochs = 4"),
    Scenario("mlp momentum 0.1", f"model = mlp()\n{sgd(0.1, 0.9)}"),
    Scenario("cnn bn sgd lr 0.1", f"model = cnn()\n{sgd(0.1)}\nepochs = 30"),
    Scenario("cnn bn sgd lr 1", f"model = cnn()\n{sgd(1)}"),
    Scenario("cnn bn adam lr 0.1", f"model = cnn()\n{adam(0.1)}"),
    Scenario("cnn bn adam lr 1e-3", f"model = cnn()\n{adam(1e-3)}"),
    Scenario("transformer adam lr 1e-3", f"model = Transformer()\n{adam(1e-3)}\nepochs = 30"),
    Scenario("dropout 0.5", "model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.5), "
             f"nn.Linear(256, 10))\n{adam(1e-3)}\nepochs = 30"),
    Scenario("diabetes", "data = load_diabetes(scaled=False)\nx = torch.tensor(data.data, dtype=torch.float32)\n"
             "x = (x - x.mean(0)) / x.std(0)\ny = torch.tensor(data.target, dtype=torch.float32)[:, None]\n"
             "y = (y - y.mean()) / y.std()\nxt, yt, xv, yv = x[:342], y[:342], x[342:], y[342:]\n"
             "loss_fn, batch, epochs = nn.MSELoss(), 32, 30\n"
             f"model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))\n{adam(1e-3)}"),
    Scenario("one-cycle", f"model = mlp()\n{sgd(0.05, 0.9)}\nscheduler = torch.optim.lr_scheduler.OneCycleLR("
             "optimizer, 0.3, total_steps=15 * 21)"),
    Scenario("cosine restarts", f"model = cnn()\n{sgd(0.2)}\nscheduler = torch.optim.lr_scheduler."
             "CosineAnnealingWarmRestarts(optimizer, 63)"),
    Scenario("frozen backbone", "model = mlp()\nfor p in model[:4].parameters(): p.requires_grad_(False)\n"
             "optimizer = torch.optim.Adam(model[4].parameters(), lr=1e-2)\nepochs = 40"),
    Scenario("batch 4", f"model = mlp()\n{sgd(0.05)}\nbatch, epochs = 4, 3"),
    Scenario("small rate, long run", f"model = mlp()\n{adam(1e-4)}\nepochs = 60"),
    Scenario("gradient clipping", f"model = mlp()\n{sgd(0.3)}\nclip = 1.0"),
    Scenario("label smoothing", f"model = mlp()\n{adam(1e-3)}\nloss_fn = nn.CrossEntropyLoss(label_smoothing=0.1)"),
    Scenario("tanh net", f"model = mlp(64, nn.Tanh)\n{sgd(0.1, 0.9)}"),
    Scenario("accumulation 8", f"model = mlp()\nbase = {ADAM}(model.parameters(), lr=1e-3)\nclass Every:\n"
             "    calls = 0\n    def zero_grad(self): pass\n    def step(self):\n        self.calls += 1\n"
             "        if self.calls % 8 == 0: base.step(); base.zero_grad()\noptimizer = Every()\n"
             "batch, epochs = 16, 30"),
    Scenario("imbalance 1:50, weighted", f"model = mlp()\n{adam(1e-3)}\n"
             "kept = (yt > 0) | (torch.rand(len(yt)) < 0.02)\n"
             "xt, yt, epochs = xt[kept], yt[kept], 20\n"
             "loss_fn = nn.CrossEntropyLoss(weight=1 / yt.bincount(minlength=10).clamp(min=1))"),
    Scenario("autoencoder", "yt, yv = xt, xv\n"
             "model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 64))\n"
             f"loss_fn, epochs = nn.MSELoss(), 40\n{adam(1e-3)}"),
    Scenario("odd or even, BCE", "yt, yv = (y % 2).float()[:1300, None], (y % 2).float()[1300:, None]\n"
             f"model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))\n"
             f"loss_fn = nn.BCEWithLogitsLoss()\n{adam(1e-3)}"),
    Scenario("LSTM over rows", "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
             "        self.lstm, self.head = nn.LSTM(8, 64, batch_first=True), nn.Linear(64, 10)\n"
             "    def forward(self, x): return self.head(self.lstm(x.view(-1, 8, 8))[0][:, -1])\n"
             f"model = Net()\n{adam(3e-3)}\nepochs = 25"),
    Scenario("head only", f"model = mlp()\noptimizer = {ADAM}(model[4].parameters(), lr=1e-2)\nepochs = 40"),
    Scenario("low-rank adapter", "class Adapter(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
             "        self.base = mlp().requires_grad_(False)\n        self.a = nn.Parameter(torch.randn(64, 8) / 8)\n"
             "        self.b = nn.Parameter(torch.zeros(8, 10))\n"
             f"    def forward(self, x): return self.base(x) + x @ self.a @ self.b\nmodel = Adapter()\n{adam(1e-2)}\n"
             "epochs = 30"),
    Scenario("warm-up, then cosine", f"model = Transformer()\n{adam(3e-3)}\nepochs = 30\nscheduler = torch.optim."
             "lr_scheduler.LambdaLR(optimizer, lambda t: min(1, t / 60) * 0.5 * (1 + math.cos(math.pi * t / 630)))"),
    Scenario("step decay", f"model = cnn()\n{sgd(0.1, 0.9)}\nepochs = 30\nscheduler = torch.optim.lr_scheduler."
             "StepLR(optimizer, 210)"),
    Scenario("10 % wrong labels, 10 epochs", f"model = mlp()\n{adam(1e-3)}\nwrong = torch.rand(len(yt)) < 0.1\n"
             "yt[wrong] = torch.randint(0, 10, (int(wrong.sum()),))\nepochs = 10"),
    Scenario("adversarial", "real = xt\nclass Pair(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
             "        self.g = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64))\n"
             "        self.d = nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))\nmodel = Pair()\n"
             f"og, od = ({ADAM}(m.parameters(), 2e-4, betas=(0.5, 0.9)) for m in (model.g, model.d))\n"
             "bce = F.binary_cross_entropy_with_logits\nfor epoch in range(40):\n"
             "    for i in torch.randperm(1300).split(64):\n        z = torch.randn(len(i), 16)\n"
             "        one, zero = torch.ones(len(i), 1), torch.zeros(len(i), 1)\n"
             "        loss = bce(model.d(real[i]), one) + bce(model.d(model.g(z).detach()), zero)\n"
             "        od.zero_grad(); loss.backward(); od.step()\n        loss = bce(model.d(model.g(z)), one)\n"
             "        og.zero_grad(); loss.backward(); og.step()\nsys.exit()"),
    Scenario("sparse parity", "n, k = 40, 3\nx = torch.randint(0, 2, (40500, n)).float() * 2 - 1\n"
             "y = (x[:, :k].prod(1) > 0).long()\nxt, yt, xv, yv = x[:40000], y[:40000], x[40000:], y[40000:]\n"
             "model = nn.Sequential(nn.Linear(n, 128), nn.ReLU(), nn.Linear(128, 2))\nbatch, epochs = 32, 5\n"
             + adam(5e-4)),
]  # fmt: skip


class Score(NamedTuple):
    scenario: Scenario
    printed: str
    steps: int
    primary: Finding | None
    said: dict[str, str]
    line: str
    repaired: str

    @property
    def right(self) -> bool:
        alarm = self.primary is not None and self.primary.severity in ("warn", "error", "fatal")
        if self.scenario.named:
            return alarm and self.primary is not None and self.primary.rule in self.scenario.named
        return not any(text.split()[0] in ("warn", "error", "fatal") for text in self.said.values())


def record(scenario: Scenario, seed: int = 0) -> tuple[list[Frame], str]:
    """Train in a process of its own; the frames of its session and the last line that it printed."""
    job = Path(tempfile.mkdtemp(prefix="nnwatch-score-"))
    try:
        boot = make_boot(job, ring_bytes=64 << 20)
        script = job / "train.py"
        script.write_text(SCRIPT.replace("SETUP", textwrap.dedent(scenario.setup)).replace("SEED", str(seed)))
        command = [sys.executable, str(script)]
        done = subprocess.run(command, env=environment(boot), capture_output=True, text=True, check=False)
        printed = done.stdout.strip() or (done.stderr.strip().splitlines() or [""])[-1]
        frames = Ingest([str(job / "rings")], {}, 0, Ids()).read()
    finally:
        shutil.rmtree(job)
    code = done.returncode
    frames.append(End(time.time(), "failed" if code else "finished", exit=code if code >= 0 else None))
    return frames, printed


def judge(frames: list[Frame]) -> History:
    history, advisor = History(), Advisor()
    for frame in frames:
        history.apply(frame)
    for frame in advisor.judge(history):
        history.apply(frame)
    return history


def score(scenario: Scenario, seed: int) -> Score:
    frames, printed = record(scenario, seed)
    history = judge(frames)
    said: dict[str, str] = {}
    for finding in history.finding_log:
        before = said.get(finding.rule, f"{finding.severity} {finding.last_step}").split()
        worst = max(before[0], finding.severity, key=SEVERITIES.index)
        said[finding.rule] = f"{worst} {before[1]}{'' if finding.status == 'open' else ' resolved'}"
    view = verdict(history)
    return Score(scenario, printed, history.last_step, view.finding, said, view.line, remedied(scenario, view, seed))


def remedied(scenario: Scenario, view: Verdict, seed: int) -> str:
    """What the run prints at its end with the learning rate that was proposed; nothing where none was."""
    change = view.finding.remedies[0].change if view.finding and view.finding.remedies else ""
    rates = re.match(r"lr (\S+) → (\S+)", change)
    if not rates or "scheduler" in scenario.setup:
        return ""
    setup = re.sub(r"lr=[\d.e-]+", f"lr={rates[2]}", scenario.setup)
    return record(scenario._replace(setup=setup), seed)[1]


def table(title: str, scenarios: list[Scenario], seed: int) -> int:
    print(f"\n{title}")
    right = 0
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        for row in pool.map(lambda scenario: score(scenario, seed), scenarios):
            right += row.right
            said = ", ".join(f"{rule} {text}" for rule, text in row.said.items()) or "-"
            mark = "ok  " if row.right else "MISS"
            print(f"{mark} {row.scenario.name:28} {row.steps:5} steps  ends {row.printed[-30:]:>6}  {said}", flush=True)
            print(f"     {row.line}")
            if row.repaired:
                print(f"     with that change it ends {row.repaired}", flush=True)
    return right


def made_up(layers: int, steps: int, every: int) -> list[Frame]:
    """A quiet run of many layers, dense for 20 steps, then sampled."""
    rng = np.random.default_rng(0)
    sampled = np.array([s for s in range(1, steps + 1) if s <= 20 or s % every == 0], np.int64)
    dense = np.arange(1, steps + 1, dtype=np.int64)
    names = [f"layer{i}.weight" for i in range(layers)]
    frames: list[Frame] = [
        Segment(0, 0, 1, 0.0),
        Labels(1, names, ["64x64"] * layers),
        Labels(2, names, ["ReLU"] * layers),
    ]
    facts = {"planned_steps": 10 * steps, "classes": 10, "loss": {"name": "cross_entropy"}}
    frames.append(Event("facts", 0.0, data=facts))

    def block(schema: int, metric: str, at: np.ndarray, values: np.ndarray, labels: int = 0) -> None:
        frames.append(Schema(schema, metric, [FieldSpec(metric, values.shape[1], labels)]))
        data = np.ascontiguousarray(values.T.astype(np.float32)).tobytes()
        frames.append(Block(schema, 0, 0, len(at), at.tobytes(), at.astype(float).tobytes(), data))

    noise: Callable[..., np.ndarray] = rng.normal
    block(1, "loss.train", dense, (2 * dense**-0.3 * np.exp(noise(0, 0.05, steps)))[:, None])
    block(2, "lr", dense, np.full((steps, 1), 1e-3))
    block(3, "batch.size", dense, np.full((steps, 1), 64))
    for number, metric in enumerate(("update.ratio", "grad.norm.layer", "weight.norm", "act.dead"), 4):
        level = {"act.dead": 0.1, "weight.norm": 5.0}.get(metric, 1e-3)
        block(number, metric, sampled, level * np.exp(noise(0, 0.1, (len(sampled), layers))), 2 if number == 7 else 1)
    block(8, "grad.norm", sampled, np.exp(noise(0, 0.1, (len(sampled), 1))))
    return frames


def cost() -> None:
    print("\nCPU of the rules, 200 layers")
    for steps, every in ((300, 5), (10_000, 20), (100_000, 50)):
        history, advisor = History(), Advisor()
        for frame in made_up(200, steps, every):
            history.apply(frame)
        began = time.process_time()
        said = advisor.judge(history)
        spent = time.process_time() - began
        found = sorted({frame.rule for frame in said if isinstance(frame, Finding)})
        print(f"{steps:8,} steps: {spent:6.2f} s, {1e6 * spent / steps:7.1f} us a step   {found or ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Score the first rules on real trainings.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("names", nargs="*", help="scenarios whose name contains one of these")
    args = parser.parse_args()

    def chosen(scenarios: list[Scenario]) -> list[Scenario]:
        return [s for s in scenarios if not args.names or any(word in s.name for word in args.names)]

    faulty, healthy = chosen(FAULTY), chosen(HEALTHY)
    named = table("Faulty: named by the primary finding", faulty, args.seed)
    silent = table("Healthy: nothing said at warn or worse", healthy, args.seed)
    print(f"\nnamed {named} of {len(faulty)} faulty runs, silent on {silent} of {len(healthy)} healthy ones")
    if not args.names:
        cost()


if __name__ == "__main__":
    main()
