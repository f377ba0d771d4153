"""The page of a rule, of a check or of a metric: what ``nnwatch explain ID`` prints."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from nnwatch.metric import METRICS, describe

from .check import all_checks
from .rule import Rule, all_rules
from .undecided import UNDECIDED, undecided

SECTIONS = ("Why it matters", "How it is decided", "When it is a false alarm", "What to do")
_WHERE = {"low": "lower is better", "high": "higher is better", None: "neither high nor low is good by itself"}


def listing(rules: Sequence[Rule]) -> str:
    """Every rule, metric and check, a line each."""
    width = max(len(name) for name in (*METRICS, *(rule.id for rule in rules), *(check.id for check in all_checks())))
    lines = ["Rules", *(f"  {rule.id:{width}}  {rule.title}" for rule in rules)]
    lines += ["", "Causes that no rule decides", *(f"  {one.id:{width}}  {one.title}" for one in UNDECIDED)]
    lines += ["", "Metrics", *(f"  {metric.name:{width}}  {metric.title}" for metric in METRICS.values())]
    lines += ["", "Checks before training", *(f"  {check.id:{width}}  {check.title}" for check in all_checks())]
    return "\n".join([*lines, "", "nnwatch explain ID tells all about one of them."])


def page(rule_id: str, rules: Sequence[Rule] | None = None) -> str:
    """The page of one of the rules (those that ship unless others are given), of a check before training, or of both
    where they have one name.

    Raises KeyError with a line for the user for an unknown id.
    """
    known = {rule.id: rule for rule in rules or all_rules()}
    checks = {check.id for check in all_checks()}
    both = [check_page(rule_id)] if rule_id in checks else []
    if (cause := undecided(rule_id)) is not None:
        both.insert(0, f"{cause.id}: {cause.title} (no rule decides it)\n\n{cause.why}\n\n{cause.where}")
    elif rule_id in known:
        both.insert(0, rule_page(known[rule_id]))
    if not both:
        near = difflib.get_close_matches(rule_id, [*known, *checks, *METRICS], 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`nnwatch explain` lists them"
        raise KeyError(f"no rule is called {rule_id!r}; {hint}")
    return "\n\n".join(both)


def rule_page(rule: Rule) -> str:
    """Title, docstring, thresholds and source of a rule."""
    lines = [f"{rule.id}: {rule.title} ({rule.kind})", "", rule.page, ""]
    if rule.thresholds:
        lines += ["Thresholds", *(f"  {name} = {value:g}" for name, value in rule.thresholds.items()), ""]
    lines += ["Remedies, in the order to try", *(f"  {i}. {title}" for i, title in enumerate(rule.remedies, 1)), ""]
    lines += [f"Reads: {', '.join(rule.reads) or 'how the job ended'}", f"Source: {rule.source}"]
    return "\n".join(lines)


def check_page(check_id: str) -> str:
    """Title, docstring, thresholds and source of a check before training. Raises KeyError for an unknown id."""
    check = {check.id: check for check in all_checks()}[check_id]
    lines = [f"{check.id}: {check.title} (check of {check.stage})", "", check.page, ""]
    if check.thresholds:
        lines += ["Thresholds", *(f"  {name} = {value:g}" for name, value in check.thresholds.items()), ""]
    return "\n".join([*lines, f"Source: {check.source}"])


def metric_page(name: str, rules: Sequence[Rule] | None = None) -> str:
    """What a metric is and which of the rules read it. Raises KeyError for a name that is none."""
    metric = describe(name)
    per = "one number for the run" if metric.axis == "run" else f"one number for each {metric.axis}"
    readers = [f"  {rule.id}: {rule.title}" for rule in rules or all_rules() if name in rule.reads]
    unit = f", in {metric.unit}" if metric.unit else ""
    return "\n".join(
        [f"{metric.name}: {metric.title}", "", metric.meaning, "", f"{per}{unit}; {_WHERE[metric.better]}", ""]
        + (["Rules that read it:", *readers] if readers else ["No rule reads it."])
    )
