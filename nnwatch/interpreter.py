"""Which Python runs the user's script: the first one that has torch. Nothing is imported to find out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from .errors import RunError

_HAS_TORCH = (
    "import sys, importlib.util as u; sys.path = [p for p in sys.path if p]; sys.exit(u.find_spec('torch') is None)"
)


def candidates() -> Iterator[str]:
    """Interpreters in the order in which they are asked: the active environment's first, PATH's last."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if folder := os.environ.get(variable):
            yield os.path.join(folder, "bin", "python")
    yield sys.executable
    for name in ("python3", "python"):
        if path := shutil.which(name):
            yield path


def has_torch(python: str) -> bool:
    """True if ``import torch`` would find a package there. Raises OSError if it cannot be started."""
    try:
        found = subprocess.run([python, "-c", _HAS_TORCH], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    except subprocess.TimeoutExpired:
        return False
    return found.returncode == 0


def choose(wanted: str | None) -> tuple[str, str]:
    """The interpreter and one line that says why it. Raises RunError if ``wanted`` cannot be started."""
    if wanted is not None:
        python = shutil.which(os.path.expanduser(wanted))
        if python is None:
            raise RunError(f"--python {wanted}: not an executable; give the path of a Python interpreter")
        try:
            return python, f"python {python}" + ("" if has_torch(python) else ", which has no torch")
        except OSError as error:
            raise RunError(f"--python {wanted}: cannot be started: {error.strerror}") from None
    asked: list[str] = []
    for python in dict.fromkeys(candidates()):
        try:
            if has_torch(python):
                return python, f"python {python}, the first with torch"
        except OSError:
            continue
        asked.append(python)
    if not asked:
        raise RunError("no Python interpreter can be started; name one with --python")
    return asked[0], f"python {asked[0]}; none has torch (asked: {', '.join(asked)}): name the right one with --python"
