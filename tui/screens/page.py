"""A page of text over the screen: a rule, a metric."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from nnwatch.advisor.rule import all_rules
from nnwatch.metric import describe

_WHERE = {"low": "lower is better", "high": "higher is better", None: "neither high nor low is good by itself"}


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


class Page(ModalScreen[None]):
    """Esc goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,i", "dismiss(None)", "Back")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self.text, markup=False)
