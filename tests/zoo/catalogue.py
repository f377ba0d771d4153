"""What the zoo holds: every configuration as data, and the script that it stands for.

A family is a training script (``families/NAME.py``) as a person would write it, and beside it ``NAME.toml``:

    half = "tuning"                  # or "aside": no threshold was tuned on it
    good = 0.93                      # a healthy configuration scores at least this, over all its seeds
    chance = 0.1                     # the score of a run that breaks

    [healthy]
    "sgd 0.3" = { optimizer = "sgd", lr = 0.3 }

    [[grid]]                         # each combination is one more healthy configuration
    called = "tanh"
    lr = [1e-3, 3e-3]
    batch = [32, 64]

    [fault]
    "lr 10" = { on = ["sgd 0.3"], causes = ["lr-too-high"], lr = 10 }

``update(loss)`` in a script stands for the lines that are the same in all of them, from ``backward`` to the schedule.
A setting replaces the script's line ``name = ...``; ``edit`` is a list of ``[old, new]`` texts, each of which is in the
script once. A fault is applied to each healthy configuration that it is ``on``, its clean twin. ``causes`` are the one
or two answers that count as right, ``criterion`` says why a fault counts that cannot show in the score.
"""

from __future__ import annotations

import itertools
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Half = Literal["tuning", "aside"]
FAMILIES = Path(__file__).parent / "families"
_OPTIMIZER = "torch.optim.{}(model.parameters(), lr=lr, weight_decay=weight_decay{})"
_SCHEDULER = "torch.optim.lr_scheduler.{}"
WORDS = {
    "sgd": _OPTIMIZER.format("SGD", ""),
    "momentum": _OPTIMIZER.format("SGD", ", momentum=0.9"),
    "nesterov": _OPTIMIZER.format("SGD", ", momentum=0.9, nesterov=True"),
    "adam": _OPTIMIZER.format("Adam", ""),
    "adamw": _OPTIMIZER.format("AdamW", ""),
    "rmsprop": _OPTIMIZER.format("RMSprop", ""),
    "adagrad": _OPTIMIZER.format("Adagrad", ""),
    "one-cycle": _SCHEDULER.format("OneCycleLR(optimizer, lr, total_steps=steps)"),
    "cosine": _SCHEDULER.format("CosineAnnealingLR(optimizer, steps)"),
    "restarts": _SCHEDULER.format("CosineAnnealingWarmRestarts(optimizer, max(steps // 4, 1))"),
    "step": _SCHEDULER.format("StepLR(optimizer, max(steps * 2 // 3, 1))"),
    "linear": _SCHEDULER.format("LinearLR(optimizer, 1.0, 0.01, total_iters=steps)"),
    "warm-up": _SCHEDULER.format("LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / (0.1 * steps)))"),
}
"""Short names for what an optimizer or a schedule is written as."""
_UPDATE = """\
loss.backward()
if clip:
    nn.utils.clip_grad_norm_(model.parameters(), clip)
optimizer.step()
if scheduler:
    scheduler.step()
"""
_NOT_SETTINGS = {"on", "causes", "edit", "criterion", "good"}


@dataclass(frozen=True)
class Configuration:
    """One training: a family's script with settings and edits. Without ``causes`` it is meant to be healthy."""

    family: str
    name: str
    half: Half
    settings: tuple[tuple[str, str], ...]
    edits: tuple[tuple[str, str], ...]
    good: float
    chance: float
    causes: tuple[str, ...] = ()
    criterion: str = "harm"
    twin: str | None = None

    @property
    def id(self) -> str:
        return f"{self.family}/{self.name}"

    @property
    def faulty(self) -> bool:
        return bool(self.causes)

    def script(self, overrides: Mapping[str, Any] | None = None) -> str:
        """The text of the training script; ``overrides`` are further settings, those of a remedy or a seed."""
        text = _whole((FAMILIES / f"{self.family}.py").read_text(encoding="utf-8"))
        for name, value in (dict(self.settings) | {k: written(v) for k, v in (overrides or {}).items()}).items():
            text, count = re.subn(rf"(?m)^{name} = .*$", lambda _: f"{name} = {value}", text, count=1)  # noqa: B023
            if not count:
                raise KeyError(f"{self.id}: the script has no setting {name}")
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.id}: {text.count(old)} places in the script for the edit of {old!r}")
            text = text.replace(old, new)
        return text

    def knobs(self) -> dict[str, str]:
        """Every setting of the script, as it stands in this configuration."""
        return dict(re.findall(r"(?m)^([a-z_]+) = ([-\d.e]+)$", self.script()))


def written(value: Any) -> str:
    """A setting as it stands in the script: short names in full, other text as the expression that it is."""
    return WORDS.get(value, value) if isinstance(value, str) else repr(value)


def _whole(text: str) -> str:
    """The script of a family with its ``update(loss)`` written out."""
    return re.sub(r"(?m)^( +)update\(loss\)\n", lambda place: textwrap.indent(_UPDATE, place[1]), text)


@cache
def families() -> dict[str, dict[str, Any]]:
    """The tables of all families, by name."""
    return {file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in sorted(FAMILIES.glob("*.toml"))}


@cache
def configurations() -> dict[str, Configuration]:
    """Every configuration by id, healthy ones of a family before its faulty ones."""
    found: dict[str, Configuration] = {}
    for family, table in families().items():
        entries = table["healthy"] | {name: entry for grid in table.get("grid", ()) for name, entry in _combined(grid)}
        healthy = {name: _healthy(family, table, name, entry) for name, entry in entries.items()}
        faulty = [_faulty(healthy[twin], name, entry) for name, entry in table["fault"].items() for twin in entry["on"]]
        for one in [*healthy.values(), *faulty]:
            if one.id in found:
                raise ValueError(f"{one.id} is there twice")
            found[one.id] = one
    return found


def _combined(grid: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every combination of the settings of a grid that are lists; what is no list holds for all of them."""
    lists = {name: values for name, values in grid.items() if isinstance(values, list) and name != "edit"}
    fixed = {name: value for name, value in grid.items() if name not in lists and name != "called"}
    for values in itertools.product(*lists.values()):
        chosen = dict(zip(lists, values, strict=True))
        words = [value if isinstance(value, str) else f"{name} {value}" for name, value in chosen.items()]
        yield " ".join([*filter(None, [grid.get("called")]), *words]), fixed | chosen


def _settings(entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, written(value)) for name, value in entry.items() if name not in _NOT_SETTINGS)


def _edits(entry: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((old, new) for old, new in entry.get("edit", ()))


def _healthy(family: str, table: Mapping[str, Any], name: str, entry: Mapping[str, Any]) -> Configuration:
    good = entry.get("good", table["good"])
    return Configuration(family, name, table["half"], _settings(entry), _edits(entry), good, table["chance"])


def _faulty(twin: Configuration, name: str, entry: Mapping[str, Any]) -> Configuration:
    if not 1 <= len(entry["causes"]) <= 2:
        raise ValueError(f"{twin.family}/{name}: one or two causes are acceptable")
    return Configuration(
        twin.family,
        f"{twin.name} + {name}",
        twin.half,
        tuple((dict(twin.settings) | dict(_settings(entry))).items()),
        (*twin.edits, *_edits(entry)),
        twin.good,
        twin.chance,
        tuple(entry["causes"]),
        entry.get("criterion", "harm"),
        twin.id,
    )
