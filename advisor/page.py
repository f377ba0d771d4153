"""The page of a rule: what ``nnwatch explain ID`` prints."""

from __future__ import annotations

from .rule import all_rules

SECTIONS = ("Why it matters", "How it is decided", "When it is a false alarm", "What to do")


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
