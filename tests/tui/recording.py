"""Makes recordings in numpy with a seed: frames as the monitor would write them, and sources that give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from msgspec import structs

from nnwatch.frame import (
    Block,
    Commit,
    Console,
    Event,
    FieldSpec,
    Frame,
    Labels,
    Run,
    Schema,
    Segment,
)
from nnwatch.session import Reader, Writer

START = 1_790_000_000.0
STEP, SAMPLE, VAL, SYSTEM = 1, 2, 3, 4
PARAMETERS, ACTIVATIONS = 1, 2
CHUNK = 500


class Frames:
    """A source that gives prepared frames, some at each read; ``lost`` is set after the last when given."""

    def __init__(self, frames: list[Frame], each: int = 10_000, lost: str | None = None) -> None:
        self.waiting = list(frames)
        self.each = each
        self.at_the_end = lost
        self.lost: str | None = None
        self.closed = False

    def read(self) -> list[Frame]:
        given, self.waiting = self.waiting[: self.each], self.waiting[self.each :]
        if not given:
            self.lost = self.at_the_end
        return given

    def close(self) -> None:
        self.closed = True


class File:
    """A source that follows a session file."""

    def __init__(self, path: str | Path) -> None:
        self.reader = Reader(path)
        self.lost: str | None = None

    def read(self) -> list[Frame]:
        return self.reader.read(1 << 22)

    def close(self) -> None:
        self.reader.close()


def block(schema: int, steps, times, *columns, segment: int = 0) -> Block:
    """A block from columns (n,) or (n, width)."""
    flat = [np.asarray(column, np.float32).reshape(len(steps), -1) for column in columns]
    values = np.ascontiguousarray(np.concatenate(flat, axis=1).T)
    return Block(
        schema,
        segment,
        0,
        len(steps),
        np.asarray(steps, np.int64).tobytes(),
        np.asarray(times, np.float64).tobytes(),
        values.tobytes(),
    )


def layer_names(blocks: int) -> tuple[list[str], list[str]]:
    """Names of the parameters and activation layers of a convolutional net with so many blocks."""
    parameters = [f"blocks.{i}.{part}.weight" for i in range(blocks) for part in ("conv1", "conv2", "norm")]
    return ["stem.weight", *parameters, "head.weight", "head.bias"], [f"blocks.{i}.relu" for i in range(blocks)]


def opening(name: str, steps: int, blocks: int, planned: bool = True) -> list[Frame]:
    """Run, segment, facts, labels and schemas."""
    parameters, activations = layer_names(blocks)
    facts = {
        "torch": "2.13.0",
        "device": "cpu",
        "script": f"{name}.py",
        "classes": 10,
        "steps_per_epoch": 100,
        "gpu": "no NVIDIA driver",
        "optimizers": [{"class": "SGD", "lr": [0.1], "momentum": 0.9}],
        "loss": {"name": "cross_entropy"},
    }
    if planned:
        facts |= {"planned_steps": steps, "planned_from": "loader"}
    p, a = len(parameters), len(activations)
    return [
        Run(
            f"{name}-1121-1104",
            "7f3a",
            "lab3",
            ["python", f"{name}.py"],
            "/usr/bin/python3",
            "/home/ada",
            START,
            headless=False,
        ),
        Segment(0, 0, 4242, START + 2),
        Event("facts", START + 2, data=facts),
        Labels(PARAMETERS, parameters, ["Conv2d"] * p),
        Labels(ACTIVATIONS, activations, ["ReLU"] * a),
        Schema(STEP, "step", [FieldSpec(m) for m in ("loss.train", "lr", "batch.size", "step.seconds", "data.wait")]),
        Schema(
            SAMPLE,
            "sample",
            [
                FieldSpec("grad.norm"),
                FieldSpec("accuracy.train"),
                FieldSpec("watch.cost"),
                FieldSpec("watch.every"),
                FieldSpec("confidence.train", 40),
                FieldSpec("update.ratio", p, PARAMETERS),
                FieldSpec("grad.norm.layer", p, PARAMETERS),
                FieldSpec("weight.norm", p, PARAMETERS),
                FieldSpec("act.mean", a, ACTIVATIONS),
                FieldSpec("act.std", a, ACTIVATIONS),
                FieldSpec("act.dead", a, ACTIVATIONS),
                FieldSpec("target.count", 10),
                FieldSpec("predicted.count", 10),
            ],
        ),
        Schema(
            VAL,
            "val",
            [FieldSpec("loss.val"), FieldSpec("val.size"), FieldSpec("accuracy.val"), FieldSpec("confidence.val", 40)],
        ),
        Schema(
            SYSTEM,
            "system",
            [
                FieldSpec(m)
                for m in (
                    "cpu.percent",
                    "memory.rss",
                    "host.cpu.percent",
                    "host.memory.used",
                    "host.memory.total",
                    "disk.free",
                )
            ],
        ),
    ]


def confidences(rng, accuracy, samples: int = 64, sure: float = 1.0):
    """Histograms (n, 40) of the softmax maximum for batches of the given accuracy (n,)."""
    out = np.zeros((len(accuracy), 40))
    for i, share in enumerate(np.clip(accuracy, 0.02, 0.99)):
        right = rng.random(samples) < share
        peak = np.clip(rng.beta(1 + 9 * share * sure, 2.5, samples) * 0.9 + 0.1, 0, 0.999)
        np.add.at(out[i], (peak * 20).astype(int) + 20 * right, 1)
    return out


def training(
    name: str,
    steps: int,
    loss,
    val_loss,
    accuracy,
    *,
    seed: int,
    ratio: float = 1e-3,
    blocks: int = 6,
    lr=None,
    pace: float = 0.02,
    dead: float = 0.05,
    grad: float = 1.0,
    every: int = 8,
    val_every: int = 100,
    val_accuracy=None,
    planned: bool = True,
    sure: float = 1.0,
    upto: int | None = None,
) -> list[Frame]:
    """Frames of a run: ``loss``, ``val_loss``, ``accuracy`` are functions of the step; a Commit behind each chunk."""
    rng = np.random.default_rng(seed)
    parameters, activations = layer_names(blocks)
    p, a = len(parameters), len(activations)
    frames = opening(name, steps, blocks, planned)
    depth = np.linspace(-0.6, 0.5, p)
    texts = [Console(START + 0.5, f"$ python {name}.py\nloading 50,000 images\nmodel: 1.2 M parameters\n")]
    frames += texts
    done = 0
    size = min(CHUNK, max(steps // 20, 50))
    while done < (upto or steps):
        n = np.arange(done + 1, min(done + size, upto or steps) + 1)
        times = START + 2 + n * pace
        rate = np.full(len(n), 0.1) if lr is None else lr(n)
        wait = pace * 0.06 * rng.gamma(4, 0.25, len(n))
        with np.errstate(over="ignore", invalid="ignore"):
            noisy = loss(n) * np.exp(rng.normal(0, 0.12, len(n)))
        frames.append(
            block(STEP, n, times, noisy, rate, np.full(len(n), 64), pace * rng.gamma(60, 1 / 60, len(n)), wait)
        )
        s = n[(n <= 20) | (n % every == 0)]
        if len(s):
            m = len(s)
            share = accuracy(s)
            wave = np.exp(rng.normal(0, 0.25, (m, p)) + depth)
            frames.append(
                block(
                    SAMPLE,
                    s,
                    START + 2 + s * pace,
                    grad * np.exp(rng.normal(0, 0.2, m)),
                    np.clip(share + rng.normal(0, 0.03, m), 0, 1),
                    np.full(m, 0.008),
                    np.full(m, every),
                    confidences(rng, share),
                    ratio * wave * (1 + 3 * np.exp(-s / 40))[:, None],
                    0.1 * grad * wave,
                    3 + np.outer(np.log1p(s) * 0.2, 1 + depth),
                    rng.normal(0.3, 0.02, (m, a)),
                    1 + rng.normal(0, 0.05, (m, a)),
                    np.clip(dead * np.linspace(0.2, 1.8, a) + rng.normal(0, 0.01, (m, a)), 0, 1),
                    np.full((m, 10), 6.4),
                    6.4 + np.outer(1 - share, 6.4 * np.linspace(-1, 1, 10)),
                )
            )
        for v in n[n % val_every == 0]:
            four = np.full(4, v)
            seen = (val_accuracy or accuracy)(four)
            frames.append(
                block(
                    VAL,
                    four,
                    START + 2 + four * pace,
                    val_loss(four) * np.exp(rng.normal(0, 0.03, 4)),
                    np.full(4, 250),
                    np.clip(seen + rng.normal(0, 0.01, 4), 0, 1),
                    confidences(rng, seen, 250, sure),
                )
            )
            frames.append(Console(float(START + 2 + v * pace), f"step {v}: val loss {val_loss(four)[0]:.4f}\n", int(v)))
        seconds = np.arange(np.ceil(times[0] - START), np.floor(times[-1] - START) + 1)
        if len(seconds):
            k = len(seconds)
            known = np.clip(((seconds - 2) / pace).astype(int), 0, None)
            frames.append(
                block(
                    SYSTEM,
                    known,
                    START + seconds,
                    rng.normal(185, 8, k),
                    1.4e9 + 2e5 * seconds,
                    rng.normal(52, 4, k),
                    np.full(k, 6.1e9),
                    np.full(k, 16.6e9),
                    np.full(k, 212e9),
                )
            )
        done = int(n[-1])
        frames.append(Commit(float(times[-1])))
    return frames


def ranked(seconds: list[float]) -> list[Frame]:
    """Frames of 100 steps on as many ranks as there are times of a step."""
    steps = np.arange(1, 101)
    fields = [FieldSpec("loss.train"), FieldSpec("step.seconds"), FieldSpec("data.wait")]
    blocks = []
    for rank, each in enumerate(seconds):
        times = np.full(100, each)
        one = block(1, steps, START + steps * each, 2.0 / steps + rank, times, times / 4)
        blocks.append(structs.replace(one, rank=rank))
    segments = [Segment(0, rank, 1, START) for rank in range(len(seconds))]
    return [Run("ranks", "r", "lab", ["torchrun"], "", "", START), *segments, Schema(1, "step", fields), *blocks]


def write(path: Path, frames: list[Frame]) -> None:
    """The frames as a session file."""
    writer = Writer(path)
    writer.append(frames, Commit(START))
    writer.close()
