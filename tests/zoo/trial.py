"""Trainings without nnwatch: what a configuration scores, over seeds and with settings changed.

One warm process forks a child for each, so that torch is imported once. Scores are kept in a file of JSON lines and
looked up by the text of the script: a configuration that changes is trained again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import multiprocessing
import os
import re
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .catalogue import Configuration

LIMIT = 60
"""CPU seconds after which a training counts as broken."""


class Trial(NamedTuple):
    configuration: Configuration
    overrides: tuple[tuple[str, Any], ...] = ()
    seed: int = 0

    @property
    def script(self) -> str:
        return self.configuration.script(dict(self.overrides) | {"seed": self.seed})

    @property
    def key(self) -> str:
        return hashlib.sha1(self.script.encode()).hexdigest()[:16]


class Scores:
    """The scores of trials, on disk. A run that broke or ended in NaN has the score None."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "trials.jsonl"
        self._known: dict[str, float | None] = {}
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                with contextlib.suppress(ValueError):  # the last line of a run that was interrupted
                    row = json.loads(line)
                    self._known[row["key"]] = row["score"]

    def of(self, trial: Trial) -> float:
        """Its score, at least that of chance: a run that broke knows nothing. Raises KeyError if it was not run.

        A squared error has no bound, and one seed of five that is a thousand times too large is a standard error of 1.
        """
        score, chance = self._known[trial.key], trial.configuration.chance
        return chance if score is None else max(score, chance)

    def run(self, trials: Iterable[Trial], workers: int = 2) -> None:
        """Train those that are not known yet."""
        missing = {trial.key: trial for trial in trials if trial.key not in self._known}
        print(f"{len(missing)} trainings to run", flush=True)
        jobs = [(key, trial.script, str(self.folder)) for key, trial in missing.items()]
        context = multiprocessing.get_context("fork")
        with context.Pool(workers, initializer=_warm) as pool, self._path.open("a") as file:
            for key, score, seconds in pool.imap_unordered(_train, jobs):
                self._known[key] = score
                row = {"key": key, "id": missing[key].configuration.id, "seed": missing[key].seed}
                row |= {"overrides": dict(missing[key].overrides), "score": score, "seconds": seconds}
                file.write(json.dumps(row) + "\n")
                file.flush()


def _warm() -> None:
    """Import once what every training does; no backward pass, whose threads a fork would not survive."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(1)
    layer = torch.nn.Linear(1, 1)
    for weight in layer.parameters():
        weight.grad = torch.zeros_like(weight)
    torch.optim.Adam(layer.parameters()).step()
    next(iter(DataLoader(TensorDataset(torch.zeros(1)), 1, shuffle=True)))


def _train(job: tuple[str, str, str]) -> tuple[str, float | None, float]:
    """Run one script in a child of this process, which ends with it."""
    key, script, folder = job
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
        os.chdir(folder)
        code = 1
        try:
            exec(compile(script, "train.py", "exec"), {"__name__": "__main__"})
            code = 0
        finally:
            print(end="", flush=True)
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        printed = pipe.read()
    _, status, usage = os.wait4(child, 0)
    found = re.findall(r"^score (\S+)$", printed, re.MULTILINE)
    score = float(found[-1]) if found and status == 0 else math.nan
    return key, score if math.isfinite(score) else None, round(usage.ru_utime + usage.ru_stime, 2)


def scores(folder: Path, trials: Iterable[Trial], workers: int = 2) -> Mapping[Trial, float]:
    """Train what is missing; the score of each."""
    known, wanted = Scores(folder), list(trials)
    known.run(wanted, workers)
    return {trial: known.of(trial) for trial in wanted}
