"""The user's settings: ``nnwatch.toml`` or ``[tool.nnwatch]`` of ``pyproject.toml``, here or nearest above.

They are read when a run starts and travel with the job, so that a monitor that is started again judges alike. Rules of
one's own come from files that the settings name and from installed packages (entry points ``nnwatch.rules``); one that
cannot be loaded is told of and left out.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import RunError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from nnwatch.advisor.rule import Rule

GROUP = "nnwatch.rules"


def find(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The file that holds the settings and its table; None where there are none. Raises RunError."""
    for place in (folder, *folder.parents):
        for name in ("nnwatch.toml", "pyproject.toml"):
            path = place / name
            try:
                table = tomllib.loads(path.read_text("utf-8"))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise RunError(f"{path}: cannot be read: {error.strerror}") from None
            except ValueError as error:  # not UTF-8, or not TOML
                if name == "pyproject.toml":  # the user's own affair unless it speaks of nnwatch
                    continue
                raise RunError(f"{path}: is not TOML: {error}") from None
            if name == "pyproject.toml":
                table = table.get("tool", {}).get("nnwatch")
            if table is not None:
                return path, table
    return None


def read(folder: Path) -> dict[str, Any]:
    """The settings that hold in ``folder``, checked: ``{"path", "table"}`` as plain data, {} where there are none.

    Raises RunError with the file, what is wrong and what to do.
    """
    found = find(folder)
    if found is None:
        return {}
    path, table = found
    from nnwatch.advisor.settings import Settings, SettingsError

    try:
        settings = Settings.of(table)
        rules, complaints = _rules(settings.own, path.parent)
        if complaints:  # a threshold may belong to a rule that cannot be loaded
            return {"path": str(path), "table": table}
        settings.apply(rules)
    except SettingsError as error:
        raise RunError(f"{path}: {error}") from None
    return {"path": str(path), "table": table}


def rules(settings: Mapping[str, Any]) -> tuple[tuple[Rule, ...], dict[str, float], list[str]]:
    """What ``read`` gave, as rules to judge by and targets, and a line for each rule that had to be left out."""
    from nnwatch.advisor.settings import Settings

    chosen = Settings.of(settings.get("table", {}))
    found, complaints = _rules(chosen.own, Path(settings.get("path", ".")).parent)
    ids = {rule.id for rule in found}
    known = Settings(
        {name: values for name, values in chosen.thresholds.items() if name in ids},
        tuple(name for name in chosen.disabled if name in ids),
    )
    return known.apply(found), dict(chosen.targets), complaints


def _rules(own: tuple[str, ...], folder: Path) -> tuple[tuple[Rule, ...], list[str]]:
    """The rules that ship, then the user's, by id."""
    from nnwatch.advisor.rule import Rule, all_rules

    rules = {rule.id: rule for rule in all_rules()}
    complaints: list[str] = []

    def add(where: str, load: Any) -> None:
        try:
            rule = load()
        except Exception as error:
            complaints.append(f"own rule {where} is left out: {type(error).__name__}: {error}")
            return
        if not isinstance(rule, Rule):
            complaints.append(f"own rule {where} is left out: it defines no RULE = nnwatch.advisor.rule.Rule(...)")
        elif rule.id in rules:
            complaints.append(f"own rule {where} is left out: there is a rule {rule.id!r} already")
        else:
            rules[rule.id] = rule

    for name in own:
        add(name, lambda name=name: _from_file(folder / name))
    for entry in importlib.metadata.entry_points(group=GROUP):
        add(f"{entry.name} ({entry.value})", entry.load)
    return tuple(sorted(rules.values(), key=lambda rule: rule.id)), complaints


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"nnwatch_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError("is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "RULE", None)
