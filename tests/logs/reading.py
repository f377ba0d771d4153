"""What a log tells, for the tests."""

import importlib.util
from pathlib import Path

import pytest

from nnwatch.history import History, Track
from nnwatch.logs import find
from nnwatch.logs.source import LogSource

REAL = Path(__file__).parent / "real"
PATHS = {
    "tensorboard": REAL / "tensorboard",
    "wandb": REAL / "wandb",
    "mlflow": REAL / "mlruns",
    "trainer": REAL / "trainer",
    "lightning": REAL / "lightning_logs",
    "keras": REAL / "csv" / "keras.csv",
    "plain": REAL / "csv" / "healthy.csv",
}
needs_tensorboard = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="no tensorboard here")
HEALTHY = [pytest.param(path, id=name, marks=needs_tensorboard if name == "tensorboard" else ())
           for name, path in PATHS.items()]  # fmt: skip


def source(path: Path, follow: bool = False) -> LogSource:
    return LogSource(find.run(path.absolute()), follow=follow)


def told(path: Path) -> History:
    """Everything that a log of a run that is over says."""
    history = History()
    more(history, source(path))
    return history


def more(history: History, log: LogSource) -> None:
    """What is new since the last time."""
    for frame in log._frames.read():
        history.apply(frame)


def main(history: History) -> Track:
    assert history.main is not None
    return history.main


def values(history: History, metric: str) -> list[tuple[int, float]]:
    """Steps and values of a metric in the newest segment."""
    series = main(history)[metric]
    return [(int(step), float(value)) for step, value in zip(series.steps, series.scalar, strict=True)]
