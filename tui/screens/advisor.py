"""Screen 4: what is wrong, why we believe it, what to do."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from nnwatch.advisor.page import page
from nnwatch.frame import Finding, Judgement

from ..curves import LOSS
from ..draw.grid import plain
from ..draw.text import count, number, wrapped
from ..messages import Notice
from ..view import View
from ..widgets.chart import Chart
from ..widgets.findings import FindingTree
from .room import Room


def finding_text(finding: Finding, width: int) -> Text:
    """The whole of a finding: what, why, do this, how you will know, if not, the numbers; in lines of ``width``."""
    text = Text()

    def part(title: str, *lines: str) -> None:
        text.append(f"{title}\n", style="bold")
        for line in lines:
            for piece in wrapped(line.lstrip(), width - 4):
                text.append(f"  {'  ' if line.startswith(' ') else ''}{piece}\n")
        text.append("\n")

    state = f"resolved at step {count(finding.last_step)}" if finding.status == "resolved" else "open"
    text.append(f"{finding.severity.upper()} {finding.title}\n", style="bold")
    text.append(f"{finding.rule} · {finding.kind} · since step {count(finding.first_step)}, {state}\n\n", style="dim")
    part("What", finding.what)
    part("Why we believe it", finding.why)
    for i, remedy in enumerate(finding.remedies):
        part(
            "Do this" if i == 0 else "Or",
            f"{remedy.title}:",
            f"  {remedy.change}",
            f"you will know by: {remedy.expect}",
        )
    if finding.otherwise:
        part("If not", finding.otherwise)
    if finding.evidence:
        part("The numbers", *(_evidence(finding)))
    return text


def _evidence(finding: Finding) -> list[str]:
    lines = []
    for one in finding.evidence:
        against = f" against {number(one.reference)}" if one.reference is not None else ""
        where = f" of {one.layer}" if one.layer else ""
        window = (
            f"steps {count(one.first_step)} to {count(one.last_step)}"
            if one.last_step > one.first_step
            else f"step {count(one.first_step)}"
        )
        lines.append(f"{one.metric}{where} {number(one.value)}{against}: {one.meaning} ({window})")
    return lines


def rules_text(judgement: Judgement | None, calm: str) -> Text:
    """Which rules judged, and why the others could not."""
    text = Text()
    text.append(f"{calm}\n\n", style="bold")
    if judgement is None:
        text.append("No rule has judged yet; the first look is after the first steps.\n")
        return text
    text.append(f"At step {count(judgement.step)} judged: {', '.join(judgement.judged)}\n\n")
    for rule, reason in judgement.abstained.items():
        text.append(f"{rule}", style="bold")
        text.append(f" could not: {reason}\n")
    return text


class Page(ModalScreen[None]):
    """A page of text; Esc goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter", "dismiss(None)", "Back")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self.text, markup=False)


class AdvisorScreen(Room):
    """The tree of findings and the chosen one in full."""

    name_of = "advisor"
    AUTO_FOCUS = "FindingTree"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy remedy", tooltip="Copy the change to the clipboard (OSC 52)"),
        Binding("enter", "page", "Rule", tooltip="The page of this rule: how it is decided, when it is a false alarm"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._shown: object = None

    def body(self) -> ComposeResult:
        with Container(id="pair"):
            with Vertical(id="tree"):
                yield FindingTree()
                yield Chart("loss", LOSS)
            with VerticalScroll(id="detail"):
                yield Static(id="finding", markup=False)

    def look(self, view: View) -> None:
        entry = self.query_one(FindingTree).chosen
        finding = entry.finding if entry is not None else None
        width = max(self.query_one("#detail").content_size.width - 1, 20)
        text = finding_text(finding, width) if finding is not None else rules_text(view.judgement, view.verdict.line)
        if text.markup == self._shown:
            return
        self._shown = text.markup
        self.query_one("#finding", Static).update(plain(text.plain) if view.symbols == "ascii" else text)

    def _finding(self) -> Finding | None:
        entry = self.query_one(FindingTree).chosen
        return entry.finding if entry is not None else None

    def action_copy(self) -> None:
        finding = self._finding()
        if finding is None or not finding.remedies:
            self.post_message(Notice("this line has no remedy to copy"))
            return
        self.app.copy_to_clipboard(finding.remedies[0].change)
        self.post_message(Notice("copied; where the terminal refuses, select the text with the mouse"))

    def action_page(self) -> None:
        finding = self._finding()
        if finding is None:
            return
        try:
            text = page(finding.rule)
        except KeyError:
            text = f"{finding.rule}: this nnwatch does not know the rule; the session was written by another version"
        self.app.push_screen(Page(text))
