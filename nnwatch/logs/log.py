"""What every reader of a foreign log offers: which runs lie in a folder, and the rows of one, while it grows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nnwatch.frame import End


class Row(NamedTuple):
    """Values that were logged together: ``step`` as the log counts, ``time`` in seconds since 1970."""

    step: int
    time: float
    values: dict[str, float]


class Log(Protocol):
    """One run of a log, read from its beginning and on while it grows. Opening it raises LogError."""

    @property
    def settings(self) -> dict[str, Any]:
        """Hyperparameters as the log has them so far."""

    @property
    def planned(self) -> int | None:
        """Steps the run will take, where the log knows them."""

    @property
    def end(self) -> End | None:
        """How the run ended, where the log says so; time 0 where it does not say when."""

    @property
    def flaw(self) -> str | None:
        """What is damaged or cut off, in one line that begins with the file's path; None if all is whole."""

    def read(self) -> list[Row]:
        """Rows that came since the last call; raises nothing but OSError."""


class Format(Protocol):
    """One kind of log."""

    name: str

    @staticmethod
    def runs(folder: Path, files: list[str], folders: list[str]) -> Iterator[Path]:
        """Paths of the runs that lie directly in a folder with these files and folders; each is a file or a folder."""

    @staticmethod
    def files(run: Path) -> list[Path]:
        """The files that a run is read from, which grow with it."""

    @staticmethod
    def open(run: Path) -> Log:
        """Raises LogError where nothing can be read, and says why."""


class LogError(Exception):
    """One line for the user: what is wrong with the log, why, and what to do."""


def changed(files: list[Path]) -> float:
    """When any of the files was last written to, in seconds since 1970; 0 without any."""
    newest = 0.0
    for path in files:
        with contextlib.suppress(OSError):
            newest = max(newest, path.stat().st_mtime)
    return newest


def flat(path: Path) -> dict[str, str]:
    """The plain ``key: value`` lines of a YAML file; nested ones are passed over, a missing file is empty."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition(": ") for line in lines if line[:1].isalpha() or line[:1] == "_")
    return {key: value.strip().strip("'\"") for key, found, value in pairs if found and value.strip()}
