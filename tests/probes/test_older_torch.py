"""A torch from before DLPack's table of C functions: its tensors are read by attributes, to the same records."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nnwatch.probes import kernel

ROOT = Path(__file__).parents[2]
OLDER = """
import sys, pytest, torch
del torch.Tensor.__dlpack_c_exchange_api__
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests/probes/test_routine.py"]))
"""


@pytest.mark.slow
@pytest.mark.skipif(kernel.native is None, reason="built without a compiler")
@pytest.mark.skipif(not hasattr(torch.Tensor, "__dlpack_c_exchange_api__"), reason="this torch is one")
def test_its_routine_samples_are_those_of_the_table():
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run([sys.executable, "-c", OLDER], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
