"""How good the checks are, in numbers: scripts with one fault each, their sound twins, and sound scripts of many kinds.

``python -m tests.check.score`` tries every script once, one at a time, keeps the sessions in ``.nnwatch-check/`` by the
text of the script, and judges them with the checks as they are: what a script was tried with is not tried again.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nnwatch.advisor.check import RECIPE, all_checks
from nnwatch.advisor.examine import Examination, examine
from nnwatch.advisor.trials import RANK
from nnwatch.runs import resolve
from nnwatch.screen import summary

from ..nnwatch.doors import Home
from ..zoo.statistics import wilson

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / ".nnwatch-check"
RESULT = HERE / "results" / "score.txt"
MINUTES = "1.5"
AGAIN = ("lr-range", "reproducible")
"""Checks that a second run of the script is for: other faulty scripts are run once."""
EXPERIMENTS = {
    "index-off-by-one": "gradient,data",
    "gradient-to-input": "gradient",
    "causal-leak": "gradient",
    "gradient": "custom",
    "overfit-batch": "overfit,input",
    "input-independence": "overfit,input",
    "schedule": "scheduler",
}
"""What other faulty scripts are tried with: what decides their check; the data for those about them, and for all else
the modules (the first steps are always seen)."""
NEVER_HERE = {"efficient-shapes": "asked on a GPU with mixed precision only"}
"""Checks that no script of these can fail, and why."""
REPORTS = {"data-report", "baselines", "show-predictions"}
"""They show something and judge nothing."""


class Script(NamedTuple):
    """One script. ``check`` is the one that it must fail, at least as badly as ``at_least``, or, for a twin, pass."""

    name: str
    kind: str
    text: str
    check: str = ""
    at_least: str = ""


def scripts() -> list[Script]:
    """All of them. Raises ValueError for an edit of a text that is not there."""
    return [*_faulty(), *_healthy()]


def _faulty() -> Iterator[Script]:
    for name, told in _table("faulty").items():
        check, family = told.get("check", name), told["family"]
        yield Script(name, "faulty", _edited(family, told["edits"]), check, told["at_least"])
        yield Script(f"{name}, twin", "twin", _edited(family, told.get("twin", ())), check)


def _healthy() -> Iterator[Script]:
    for family, variants in _table("healthy").items():
        yield Script(family, "healthy", _edited(family, ()))
        for name, told in variants.items():
            yield Script(f"{family} {name}", "healthy", _edited(family, told["edits"]))


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / f"{name}.toml").read_text("utf-8"))


def _edited(family: str, edits: Any) -> str:
    text = (HERE / "scripts" / f"{family}.py").read_text("utf-8")
    for old, new in edits:
        if old not in text:
            raise ValueError(f"{family} has no {old!r}")
        text = text.replace(old, new)
    return text


def session(script: Script) -> Path:
    """Where the check of this text is kept."""
    return KEPT / f"{hashlib.sha1(script.text.encode()).hexdigest()[:16]}.nnw"


def try_out(script: Script) -> str | None:
    """Run `nnwatch check` on it. What it said where it could not be tried, None where it could."""
    KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nnwatch-score-") as name:
        home = Home(Path(name))
        home.script("train.py", script.text)
        options = ["--session", str(session(script)), "--minutes", MINUTES, "--yes", "--json"]
        if script.kind == "faulty" and script.check not in AGAIN:
            usual = "data,baselines" if script.check in RECIPE["data"] else "model"
            options += ["--only", EXPERIMENTS.get(script.check, usual)]
        done = home.nnwatch("check", *options, "train.py", timeout=600)
    return None if done.returncode in (0, 3) else done.stderr.strip().splitlines()[-1]


def judged(script: Script) -> Examination:
    about, _ = summary(resolve(str(session(script))))
    return examine(about.history)


class Row(NamedTuple):
    """A script, what the checks say of it, and what its own check does; ``why`` it could not be tried."""

    script: Script
    examined: Examination | None
    why: str | None

    @property
    def state(self) -> str:
        """Of the check that the script is about; "beside" where it was not asked."""
        answers = self.examined.answers if self.examined else ()
        return next((a.verdict.state for a in answers if a.check.id == self.script.check), "beside")

    @property
    def met(self) -> bool:
        if self.script.kind == "faulty":
            return self.state in RANK and RANK.index(self.state) >= RANK.index(self.script.at_least)
        if self.script.kind == "twin":
            return self.state == "pass"
        return not self.warned

    @property
    def warned(self) -> list[str]:
        answers = self.examined.answers if self.examined else ()
        return [f"{a.verdict.state} {a.check.id}" for a in answers if a.verdict.state in ("warn", "error")]

    @property
    def impossible(self) -> list[str]:
        answers = self.examined.answers if self.examined else ()
        return [a.check.id for a in answers if a.verdict.state == "not possible"]


def table(rows: list[Row]) -> str:
    """What is committed: the counts, then every script with what was said of it."""
    tried = [row for row in rows if row.why is None]
    kinds = {kind: [row for row in tried if row.script.kind == kind] for kind in ("faulty", "twin", "healthy")}
    caught = {row.script.check for row in kinds["faulty"] if row.met}
    ids = {check.id for check in all_checks()} - REPORTS - set(NEVER_HERE)
    asked = [len(row.examined.answers) for row in tried if row.examined]
    impossible = [len(row.impossible) for row in tried]
    lines = [
        "What `nnwatch check` says of scripts with one fault, of their sound twins, and of sound scripts.",
        "",
        _rate("faulty scripts whose check fails as it should", kinds["faulty"]),
        _rate("sound twins that pass that check", kinds["twin"]),
        _rate("sound scripts without a warning", kinds["healthy"]),
        f"checks with a script that fails them: {len(caught)} of {len(ids)}",
        f"without one: {', '.join(sorted(ids - caught)) or 'none'}",
        *(f"not to be failed here: {name}, {why}" for name, why in NEVER_HERE.items()),
        f"questions asked: {sum(asked)}, of which {sum(impossible)} could not be answered",
        f"scripts that could not be tried: {len(rows) - len(tried)}",
        "",
    ]
    for kind, chosen in kinds.items():
        lines += [kind.upper(), *(_line(row) for row in chosen), ""]
    lines += [f"not tried: {row.script.name}: {row.why}" for row in rows if row.why is not None]
    return "\n".join(lines).rstrip() + "\n"


def _rate(words: str, rows: list[Row]) -> str:
    met, n = sum(row.met for row in rows), len(rows)
    low, high = wilson(met, n) if n else (0.0, 0.0)
    return f"{words}: {met} of {n} ({100 * met / max(n, 1):.1f} %; {100 * low:.0f} to {100 * high:.0f} %)"


def _line(row: Row) -> str:
    mark = "ok    " if row.met else "MISSED"
    said = f"{row.script.check}: {row.state}" if row.script.check else "; ".join(row.warned)
    first = row.examined.first if row.examined else None
    begin = f"; change first: {first.check.id}" if first is not None and row.script.kind == "faulty" else ""
    could = f"; not possible: {', '.join(row.impossible)}" if row.script.kind == "healthy" and row.impossible else ""
    return f"  {mark} {row.script.name:36} {said}{begin}{could}".rstrip()


def main() -> None:
    every, rows = scripts(), []
    for i, script in enumerate(every):
        why = None
        if not session(script).exists():
            print(f"{i + 1} of {len(every)}: {script.name}", file=sys.stderr, flush=True)
            why = try_out(script)
        examined = None if why else judged(script)
        if examined is not None and all(answer.verdict.state == "not possible" for answer in examined.answers):
            why = "no step was recorded"
        rows.append(Row(script, None if why else examined, why))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(table(rows), "utf-8")
    print(table(rows), end="")


if __name__ == "__main__":
    main()
