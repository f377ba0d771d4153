"""Is the rate that `nnwatch check --only lr` suggests a good one? ``python -m tests.bench.bench_rate [TASK...]``.

Three models by three optimizers on the digits, and the three optimizers on two other tasks; each cell is trained at
every rate of the grid, and at the suggested one, for 300 steps, with three seeds: one alone moves the accuracy of the
recurrent net by 0.05 and more. The suggestion is that of a single check.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean

from nnwatch.card import Card
from nnwatch.screen import summary

from .rates import OPTIMIZERS, STEPS, TASKS, train

GRID = [m * 10.0**e for e in range(-5, 2) for m in (1, 3)]
WITHIN = 0.05
"""Of the best accuracy of the grid."""
SEEDS = 3
ROOT = Path(__file__).parents[2]


def accuracy(task: str, model: str, optimizer: str, rate: float) -> float:
    """Mean of all seeds."""
    return fmean(train(task, model, optimizer, rate, seed) for seed in range(SEEDS))


def suggested(task: str, model: str, optimizer: str) -> tuple[float | None, float | None]:
    """The rate, and the ceiling, of a check of the script."""
    script = Path(__file__).with_name("rates.py")
    with tempfile.TemporaryDirectory(prefix="nnwatch-bench-") as folder:
        session = Path(folder) / "check.nnw"
        env = os.environ | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": folder, "NNWATCH_HOME": folder}
        words = ["check", "--only", "lr", "--session", str(session), str(script), task, model, optimizer]
        command = [sys.executable, "-c", "import sys; from nnwatch.cli import main; sys.exit(main())", *words]
        subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
        history = summary(Card("", "check", str(session), [], folder, 0.0))[0].history
    data = next(event.data for event in history.events if event.name == "trial" and event.data["trial"] == "range")
    return data.get("suggested"), data.get("ceiling")


def cells(tasks: list[str]) -> list[tuple[str, str, str]]:
    return [(task, model, optimizer) for task in tasks for model in TASKS[task][1] for optimizer in OPTIMIZERS]


def main() -> None:
    print(f"accuracy on the test part after {STEPS} steps, mean of {SEEDS} seeds; {len(GRID)} rates from 1e-5 to 30\n")
    print(f"{'task':10} {'model':14} {'optimizer':10} {'best rate':>9} {'accuracy':>9}"
          f" {'suggested':>10} {'accuracy':>9} {'ceiling':>8}  within {WITHIN}")  # fmt: skip
    good: dict[str, list[bool]] = {}
    for task, model, optimizer in cells(sys.argv[1:] or [*TASKS]):
        accuracies = {rate: accuracy(task, model, optimizer, rate) for rate in GRID}
        best = max(accuracies, key=lambda rate: accuracies[rate])
        rate, ceiling = suggested(task, model, optimizer)
        reached = accuracy(task, model, optimizer, rate) if rate is not None else 0.0
        within = reached >= accuracies[best] - WITHIN
        good.setdefault(task, []).append(within)
        told = [f"{value:.2g}" if value is not None else "-" for value in (rate, ceiling)]
        print(f"{task:10} {model:14} {optimizer:10} {best:9.2g} {accuracies[best]:9.3f}"
              f" {told[0]:>10} {reached:9.3f} {told[1]:>8}  {'yes' if within else 'no'}", flush=True)  # fmt: skip
    print()
    for task, cells_ in good.items():
        print(f"{task}: {sum(cells_)} of {len(cells_)} cells within {WITHIN} of the best")


if __name__ == "__main__":
    main()
