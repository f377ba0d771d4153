"""What a check is to do: written by the command, read by the process that conducts it (``JOB/check.json``)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

STEPS = 200
"""Steps that the script makes as it is."""


@dataclass
class Plan:
    """``seconds`` for everything; ``only`` these trials, all of them if it is empty; ``folders`` are the user's, where
    nothing may be changed."""

    command: list[str]
    seconds: float
    only: list[str]
    folders: list[str]
    uncontained: bool
    """The user said yes to a run that may write anywhere."""
    steps: int = STEPS

    def wants(self, *trials: str) -> bool:
        """Is one of these to be made?"""
        return not self.only or any(trial in self.only for trial in trials)

    def json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def load(cls, job: Path) -> Plan:
        return cls(**json.loads((job / "check.json").read_text()))
