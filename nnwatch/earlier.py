"""What the newest check of the same script found, for the runs that come after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import runs
from .card import Card
from .parser import SessionError
from .session import Reader
from .trial import EVENT

_BYTES = 64 << 20
"""Longest session that is read for it: that of a check is far shorter."""


def facts(card: Card) -> dict[str, Any]:
    """``baselines`` and ``validation_digest``, for the script of ``card``'s run; empty without a check of it."""
    script = _script(card)
    before = (known for known in runs.runs() if known.check and known.started < card.started)
    told = (_told(Path(known.session)) for known in before if script and _script(known) == script)
    return next((found for found in told if found), {})


def _script(card: Card) -> str:
    """The file that is run, or the module."""
    words = card.command
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    script = next((word for word in words if word.endswith(".py")), "")
    return str((Path(card.cwd) / script).resolve()) if script else ""


def _told(path: Path) -> dict[str, Any]:
    """From the events of a session; empty for one that cannot be read."""
    found: dict[str, Any] = {}
    try:
        if path.stat().st_size > _BYTES:
            return found
        reader = Reader(str(path))
        while frames := reader.read(1 << 20):
            for frame in frames:
                data = getattr(frame, "data", None)
                if getattr(frame, "name", "") != EVENT or not isinstance(data, dict) or data.get("state") != "done":
                    continue
                if data.get("trial") == "baselines":
                    kept = {name: data[name] for name in ("majority", "mean", "linear", "on") if name in data}
                    found["baselines"] = kept | {"session": str(path)}
                elif data.get("trial") == "data":
                    sets = data.get("sets") or {}
                    held: dict[str, Any] = next((sets[role] for role in ("validation", "test") if role in sets), {})
                    found["validation_digest"] = held.get("digest")
        reader.close()
    except (OSError, SessionError):
        return {}
    return found
