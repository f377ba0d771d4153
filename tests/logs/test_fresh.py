"""Logs that the frameworks write now, where they are installed: still read, still silent where nothing is wrong."""

import importlib.util
import os
import subprocess
import sys

import pytest

from ..nnwatch.doors import PATIENCE, ROOT
from .make import KINDS
from .reading import main, told, values

NEEDED = {"keras": "keras", "lightning": "lightning", "mlflow": "mlflow", "tensorboard": "tensorboard",
          "transformers": "transformers", "wandb": "wandb"}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEEDED)
def test_what_a_framework_writes_today(kind, tmp_path):
    assert kind in {made.__name__ for made in KINDS}
    if importlib.util.find_spec(NEEDED[kind]) is None:
        pytest.skip(f"{NEEDED[kind]} is not installed")
    env = os.environ | {"WANDB_SILENT": "true", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "tests.logs.make", kind, str(tmp_path / "log")]
    subprocess.run(words, cwd=ROOT, env=env, check=True, capture_output=True, timeout=PATIENCE)
    history = told(tmp_path)
    track = main(history)
    losses = [loss for _, loss in values(history, "loss.train")]
    assert len(losses) >= 10
    assert losses[-1] < 0.6 * losses[0]
    assert len(track.evaluations().steps) >= 5
    assert history.findings == {}
