"""Where a script is tried: how its writing is contained, and what it wrote."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import RunError
from ..job import environment
from .contain import How, Spec
from .held import Held

_PREFIX = "nnwatch-check-"
_PLACES = (tempfile.gettempdir(), "/dev/shm", "/var/tmp")
MOST = 20
"""Files that are named."""
_CACHES = ("__pycache__", ".cache", ".triton", ".nv")
_PATIENCE = 20.0
_YOUNG = 60.0
"""Seconds in which a scratch folder may not be held yet by who has just made it."""


class Enclosure:
    """``folders`` are the user's; ``open`` stays writable; ``uncontained``: the user allows what cannot be contained.

    Raises RunError where it cannot be, and is not allowed.
    """

    def __init__(self, job: Path, folders: Iterable[str], open: list[str], uncontained: bool) -> None:
        self._path = job / "contain.json"
        mine = _outermost(folders)
        places = [place for place in _PLACES if os.access(place, os.W_OK)]
        for place in places:
            _clear(Path(place))
        self._scratches = [tempfile.mkdtemp(prefix=_PREFIX, dir=place) for place in places]
        self._held = [Held(Path(scratch)) for scratch in self._scratches]
        spec = Spec(mine, self._scratches, [str(job), *open])
        spec.save(self._path)
        asked = subprocess.run(
            self._start(),
            env=environment(job, console=False),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        answer = asked.stdout.strip()
        self.how: How = answer if answer in ("overlay", "landlock") else "none"  # type: ignore[assignment]
        spec.how = self.how
        spec.save(self._path)
        if self.how == "none" and not uncontained:
            self.close()
            why = "; ".join(asked.stderr.strip().splitlines()) or "unknown why"
            raise RunError(f"what the script writes cannot be kept apart here ({why}); if it may write: add --yes")

    @property
    def words(self) -> list[str]:
        """What goes before the command."""
        return [] if self.how == "none" else self._start()

    @property
    def environment(self) -> dict[str, str]:
        """Where nothing else may be written to, temporary files go to the scratch folder."""
        return {"TMPDIR": self._scratches[0]} if self.how == "landlock" else {}

    def _start(self) -> list[str]:
        return [sys.executable, "-m", "nnwatch.check.contain", str(self._path)]

    def written(self) -> list[str]:
        """Files that the script would have written, changed or removed in the user's folders."""
        found = sorted({path for scratch in self._scratches for path in _changed(Path(scratch))})
        return found[:MOST] if len(found) <= MOST else [*found[:MOST], f"and {len(found) - MOST} more"]

    def close(self) -> None:
        for scratch, held in zip(self._scratches, self._held, strict=True):
            shutil.rmtree(scratch, onerror=_retry)
            held.close()


def folders(command: list[str]) -> list[str]:
    """The user's: where the command is started, where its script lies, the home."""
    script = next((Path(word) for word in command[1:] if word.endswith(".py") and os.path.exists(word)), None)
    places = [os.getcwd(), os.path.expanduser("~")]
    if script is not None:
        places.append(str(script.resolve().parent))
    return places


def _clear(place: Path) -> None:
    """Remove the scratch folders of checks that were killed: those of this user's that nobody holds."""
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            about = folder.lstat()
            mine = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
            if mine and time.time() - about.st_mtime > _YOUNG:
                held = Held(folder)
                shutil.rmtree(folder, onerror=_retry)
                held.close()
        except OSError:  # it is held, or gone
            continue


def _outermost(folders: Iterable[str]) -> list[str]:
    """None inside another, none that is not there, and all that lie in the root only where they are the root."""
    real = {os.path.realpath(folder) for folder in folders if os.path.isdir(folder)}
    return sorted(f for f in real if not any(f != other and Path(f).is_relative_to(other) for other in real))


def _changed(scratch: Path) -> Iterator[str]:
    for place in scratch.iterdir():
        of, upper = place / "of", place / "upper"
        if not of.exists():
            continue
        point = Path(of.read_text())
        for folder, names, files in os.walk(upper):
            names[:] = [name for name in names if name not in _CACHES]
            for name in files:
                yield str(point / Path(folder).relative_to(upper) / name)


def _retry(function: object, path: str, error: object) -> None:
    """The kernel leaves a folder that even its owner may not list."""
    try:
        os.chmod(path, stat.S_IRWXU)
        shutil.rmtree(path, ignore_errors=True)
    except OSError:
        pass
