"""The page of a rule or of a metric: what ``nnwatch explain ID`` prints."""

from __future__ import annotations

from nnwatch.metric import describe

from .rule import all_rules

SECTIONS = ("Why it matters", "How it is decided", "When it is a false alarm", "What to do")
_WHERE = {"low": "lower is better", "high": "higher is better", None: "neither high nor low is good by itself"}


def page(rule_id: str) -> str:
    """Title, docstring, thresholds and source of a rule. Raises KeyError with a line for the user for an unknown id."""
    rules = {rule.id: rule for rule in all_rules()}
    if rule_id not in rules:
        raise KeyError(f"no rule is called {rule_id!r}; there are {', '.join(rules)}")
    rule = rules[rule_id]
    lines = [f"{rule.id}: {rule.title} ({rule.kind})", "", rule.page, ""]
    if rule.thresholds:
        lines += ["Thresholds", *(f"  {name} = {value:g}" for name, value in rule.thresholds.items()), ""]
    lines += ["Remedies, in the order to try", *(f"  {i}. {title}" for i, title in enumerate(rule.remedies, 1)), ""]
    lines += [f"Reads: {', '.join(rule.reads) or 'how the job ended'}", f"Source: {rule.source}"]
    return "\n".join(lines)


def metric_page(name: str) -> str:
    """What a metric is and which rules read it. Raises KeyError for a name that is none."""
    metric = describe(name)
    per = "one number for the run" if metric.axis == "run" else f"one number for each {metric.axis}"
    readers = [f"  {rule.id}: {rule.title}" for rule in all_rules() if name in rule.reads]
    unit = f", in {metric.unit}" if metric.unit else ""
    return "\n".join(
        [f"{metric.name}: {metric.title}", "", metric.meaning, "", f"{per}{unit}; {_WHERE[metric.better]}", ""]
        + (["Rules that read it:", *readers] if readers else ["No rule reads it."])
    )
