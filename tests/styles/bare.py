"""Runs a script without nnwatch, for its result only: in a fork of a process that has imported torch already."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from pathlib import Path

_server = multiprocessing.get_context("forkserver")


def run(script: str, args: list[str], folder: Path) -> int:
    """The exit code; what the script writes lies in ``folder``."""
    os.environ["OMP_NUM_THREADS"] = "1"
    _server.set_forkserver_preload(["torch", "torch._dynamo"])  # an optimizer would import the latter in each of them
    process = _server.Process(target=_run, args=(script, args, str(folder)))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(script: str, args: list[str], folder: str) -> None:
    os.chdir(folder)
    for stream in (1, 2):
        os.dup2(os.open("printed", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    sys.argv = [script, *args]
    sys.path.insert(0, os.path.dirname(script))
    runpy.run_path(script, run_name="__main__")
