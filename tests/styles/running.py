"""Styles under `nnwatch run` and bare, and what the comparison says."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from nnwatch.history import History, Track

from ..nnwatch.doors import Home, history
from ..warm import warm
from .compare import compare
from .styles import Style

SCRIPTS = Path(__file__).parent / "scripts"


def missing(style: Style) -> str | None:
    """The module that the style needs and that is not installed."""
    return next((name for name in style.needs if importlib.util.find_spec(name) is None), None)


def outcome(styles: tuple[Style, ...]) -> list[dict[str, bool]]:
    """For each style of one `nnwatch run` what its script knows, and whether the same was recorded.

    Raises AssertionError where something else was recorded.
    """
    with tempfile.TemporaryDirectory(prefix="nnwatch-styles-") as name:
        home = Home(Path(name))
        folders = [home.folder / str(number) for number in range(len(styles))] if len(styles) > 1 else [home.folder]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        done = home.nnwatch("run", "--headless", *_command(styles, folders), timeout=600)
        assert done.returncode == 0, done.stderr[-4000:]
        seen = history(home.session())
        failed = [event.data for event in seen.events if event.name == "probe.failed"]
        assert not failed, failed
        assert len(seen.tracks) == sum(style.ranks for style in styles)
        return [_compared(style, folder, seen) for style, folder in zip(styles, folders, strict=True)]


def _command(styles: tuple[Style, ...], folders: list[Path]) -> list[str]:
    if len(styles) > 1:
        jobs = [[*_script(style), str(folder)] for style, folder in zip(styles, folders, strict=True)]
        return [str(SCRIPTS / "several.py"), json.dumps(jobs)]
    script, args = _script(styles[0])
    return [*(["--", *_ranks(styles[0])] if styles[0].ranks > 1 else []), script, *args]


def _script(style: Style) -> tuple[str, list[str]]:
    name, *args = style.script.split()
    return str(SCRIPTS / f"{name}.py"), args


def _ranks(style: Style) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={style.ranks}"]


def _compared(style: Style, folder: Path, seen: History) -> dict[str, bool]:
    had: dict[str, bool] = {}
    for rank in range(style.ranks):
        own = _own(folder, rank)
        for key, value in compare(own, seen, _track(seen, own)).items():
            had[key] = had.get(key, True) and value
    if style.twin:
        had["bits"] = _twin(style, folder)
    return had


def _track(seen: History, own: dict[str, Any]) -> Track:
    """The only segment of the process that wrote ``own``."""
    [track] = [track for track in seen.tracks.values() if track.segment.pid == own["pid"]]
    return track


def _own(folder: Path, rank: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / f"own-{rank}.json").read_text())
    return told


def _twin(style: Style, folder: Path) -> bool:
    """Does the script come to the same when nobody watches?"""
    other = folder / "bare"
    other.mkdir()
    script, args = _script(style)
    if style.ranks > 1:
        command = [*_ranks(style), script, *args]
        subprocess.run(command, cwd=other, env=Home(folder).env, check=True, capture_output=True)
    else:
        warm().start(script, args, other)
        assert warm().wait() == 0, (other / "stderr").read_text()[-4000:]
    for rank in range(style.ranks):
        watched, alone = ({**_own(place, rank), "pid": None} for place in (folder, other))
        assert watched == alone, f"{style.title}: the script came to something else under nnwatch"
    return True
