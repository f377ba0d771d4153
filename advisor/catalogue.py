"""The pages that are made from rules and checks themselves: ``rules/README.md``, ``checks/README.md`` and ``NOTES.md``.

``python -m nnwatch.advisor.catalogue`` prints the first, with ``checks`` or ``notes`` the others. A test compares them
with what is committed, so they cannot fall behind.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from . import fixes, hints
from .check import Check, all_checks
from .page import check_page, rule_page
from .rule import Rule, all_rules
from .undecided import UNDECIDED

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_DECIDED = {"check": "before training", "undecidable": "not by what is measured"}
MADE = "<!-- Made by `make pages` from the rules; not to be edited by hand. -->"
_KINDS = {
    "invariant": "exact: it needs no threshold",
    "statistical": "two keys: a mechanism alone is at most *watch*, *warn* and *error* need an outcome too",
    "fact": "what was observed; it has no doubt",
}
LISTS = {
    "overfit": fixes.OVERFIT,
    "underfit": fixes.UNDERFIT,
    "nan": fixes.NAN,
    "dead": fixes.DEAD,
    "vanish": fixes.VANISH,
    "imbalance": fixes.IMBALANCE,
    "batch": fixes.BATCH,
    "data-stall": fixes.DATA_STALL,
}
"""The ordered lists of remedies by the names that NOTES.md uses."""


class Note(NamedTuple):
    """One statement of the notes: ``answers`` are ids (see ``notes.toml``)."""

    number: int
    place: str
    says: str
    answers: tuple[str, ...]
    remark: str


def notes() -> list[Note]:
    """The statements."""
    table: dict[str, Any] = tomllib.loads(resources.files(__package__).joinpath("notes.toml").read_text("utf-8"))
    return [
        Note(int(number), place, says, tuple(answers), remark)
        for number, (place, says, answers, remark) in table["rows"].items()
    ]


def origins() -> dict[str, str]:
    """The places in the notes that each check comes from, "K12, D2", by the check's id."""
    places: dict[str, list[str]] = {}
    for note in notes():
        for answer in note.answers:
            if answer.startswith("check:"):
                places.setdefault(answer.removeprefix("check:"), []).append(note.place)
    return {name: ", ".join(found) for name, found in places.items()}


def rules_page(rules: Sequence[Rule]) -> str:
    """Markdown: a table of every cause there is a name for, then the page of each rule."""
    lines = [MADE, "", "# What nnwatch can find", ""]
    lines += [f"`{kind}`: {meaning}." for kind, meaning in _KINDS.items()]
    lines += [
        "",
        "A cause is decided *live*, by a rule, or not: then the table says where it can be decided, or why it cannot.",
        "",
        "| cause | kind | decided | what it reads |",
        "|---|---|---|---|",
    ]
    rows = {rule.id: f"| [{rule.id}](#{rule.id}) | {rule.kind} | live | {_reads(rule)} |" for rule in rules}
    rows |= {one.id: f"| {one.id} | | {_DECIDED[one.kind]} | {one.why} {one.where} |" for one in UNDECIDED}
    lines += [rows[name] for name in sorted(rows)]
    for rule in rules:
        title, _, body = rule_page(rule).partition("\n")
        lines += ["", f"## {rule.id}", "", title.partition(": ")[2], "", "```text", body.strip("\n"), "```"]
    return "\n".join(lines) + "\n"


def checks_page(checks: Sequence[Check]) -> str:
    """Markdown: a table of the checks in the order of the recipe, then the page of each."""
    lines = [MADE, "", "# What `nnwatch check` asks", ""]
    lines += [
        "`nnwatch check train.py` runs a script for some hundred steps, makes experiments with one of them, and",
        "answers these questions in the order of the notes that nnwatch grew from: the data first, then a skeleton",
        "with baselines, then overfit a few samples, then regularise, then tune. An answer is *pass*, *info*, *warn*,",
        "*error* or *not possible*, with the reason. What a script has nothing of is not asked.",
        "",
        "| stage | check | question | notes |",
        "|---|---|---|---|",
    ]
    known = origins()
    lines += [f"| {c.stage} | [{c.id}](#{c.id}) | {c.title} | {known.get(c.id, '')} |" for c in checks]
    for check in checks:
        title, _, body = check_page(check.id).partition("\n")
        lines += ["", f"## {check.id}", "", title.partition(": ")[2], "", "```text", body.strip("\n"), "```"]
    return "\n".join(lines) + "\n"


def _reads(rule: Rule) -> str:
    return ", ".join(f"`{name}`" for name in rule.reads) or "how the job ended, facts and events"


def notes_page() -> str:
    """Markdown: every statement of the notes and what answers it, then the checks, lists and hints it names."""
    rows = notes()
    lines = [MADE, "", "# What became of the notes", ""]
    lines += [
        "nnwatch grew from five notes on training networks. Nothing of them is dropped silently: each statement is",
        "answered by a rule, a check before training, a place in an ordered list of remedies, or a hint between runs;",
        "or it says why it cannot be. *engine* is how every rule judges, whatever it is about.",
        "",
        "| | where | what the note says | answered by | remark |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {n.number} | {n.place} | {n.says} | {', '.join(map(_answer, n.answers))} | {n.remark} |" for n in rows
    ]
    lines += ["", "## Checks before training", ""]
    lines += ["`nnwatch check` asks them. Rules that see the same while the net trains stand beside them above.", ""]
    lines += [f"- [{check.id}](checks/README.md#{check.id}): {check.title}" for check in all_checks()]
    lines += ["", "## Ordered lists of remedies", ""]
    lines += ["What is in use already is passed over; at most three are printed, with the run's own numbers.", ""]
    for name, fixes_ in LISTS.items():
        lines.append(f"- **{name}**: {' → '.join(fix.title for fix in fixes_)}")
    lines += [
        "",
        "## Hints between runs",
        "",
        "Given by `nnwatch compare`, where the runs themselves call for one.",
        "",
    ]
    lines += [f"- **{name}**" for name in hints.IDS]
    return "\n".join(lines) + "\n"


def _answer(answer: str) -> str:
    kind, _, name = answer.rpartition(":")
    if answer in ("none", "engine"):
        return "not applicable" if answer == "none" else "*engine*"
    if kind == "check":
        return f"[check {name}](checks/README.md#{name})"
    return f"{kind} *{name}*" if kind else f"[{name}](rules/README.md#{name})"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["notes"]:
            text = notes_page()
        case ["checks"]:
            text = checks_page(all_checks())
        case _:
            text = rules_page(all_rules())
    print(text, end="")
