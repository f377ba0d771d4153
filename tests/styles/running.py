"""One style: its script run under `nnwatch run` and bare, and what the comparison says."""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ..nnwatch.doors import Home, history
from . import bare
from .compare import compare
from .styles import Style

SCRIPTS = Path(__file__).parent / "scripts"


def missing(style: Style) -> str | None:
    """The module that the style needs and that is not installed."""
    return next((name for name in style.needs if importlib.util.find_spec(name) is None), None)


@functools.cache
def outcome(title: str) -> dict[str, bool]:
    """What the script of a style knows, and whether the same was recorded. Raises AssertionError where it was not."""
    from .styles import STYLES

    style = next(style for style in STYLES if style.title == title)
    with tempfile.TemporaryDirectory(prefix="nnwatch-styles-") as folder:
        return _outcome(style, Path(folder))


def _outcome(style: Style, folder: Path) -> dict[str, bool]:
    name, *args = style.script.split()
    script = SCRIPTS / f"{name}.py"
    home = Home(folder)
    done = home.nnwatch("run", "--headless", *_launcher(style), str(script), *args, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    seen = history(home.session())
    failed = [event.data for event in seen.events if event.name == "probe.failed"]
    assert not failed, failed
    had: dict[str, bool] = {}
    for rank in range(style.ranks):
        own = _own(folder, rank)
        for key, value in compare(own, seen, rank).items():
            had[key] = had.get(key, True) and value
    assert sorted(rank for _, rank in seen.tracks) == list(range(style.ranks))
    if style.twin:
        had["bits"] = _twin(style, script, args, folder)
    return had


def _launcher(style: Style) -> list[str]:
    return (
        ["--", sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={style.ranks}"]
        if style.ranks > 1
        else []
    )


def _own(folder: Path, rank: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / f"own-{rank}.json").read_text())
    return told


def _twin(style: Style, script: Path, args: list[str], folder: Path) -> bool:
    """Does the script come to the same when nobody watches?"""
    other = folder / "bare"
    other.mkdir()
    if style.ranks > 1:
        command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={style.ranks}", str(script), *args]
        subprocess.run(command, cwd=other, env=Home(folder).env, check=True, capture_output=True)
    else:
        assert bare.run(script, args, other) == 0, (other / "printed").read_text()[-4000:]
    for rank in range(style.ranks):
        watched, alone = _own(folder, rank), _own(other, rank)
        assert watched == alone, "the script came to something else under nnwatch"
    return True
