"""Screen 4: what is wrong, why we believe it, what to do."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.widgets import Static

from nnwatch.advisor.examine import FIRST_ID
from nnwatch.advisor.page import page
from nnwatch.autopsies import autopsies
from nnwatch.frame import Finding, Judgement
from nnwatch.history import History

from ..curves import LOSS
from ..draw.text import count, wrapped
from ..evidence import evidence_lines, history_lines, plot_evidence, plottable
from ..messages import Changed, Judged, Notice
from ..rejudge import changed, rejudged, rules_of
from ..view import View
from ..widgets.chart import Chart
from ..widgets.findings import FindingTree
from .ask import Ask
from .page import Page
from .room import Room


def finding_text(states: list[Finding], width: int, autopsy: list[str] | None = None) -> Text:
    """The whole of a finding: what, why, do this, how you will know, if not, the numbers, its history; in lines of
    ``width``. ``states`` are all that was told of it, the newest last; ``autopsy`` where numbers stopped being finite
    there, its heading first."""
    finding = states[-1]
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
    if autopsy:
        part(*autopsy)
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
        part("The numbers", *evidence_lines(finding))
    part("History", *history_lines(states))
    return text


def autopsy_of(finding: Finding, history: History) -> list[str] | None:
    """Where the numbers came from that were not finite, of a finding that is about them."""
    if finding.kind == "invariant":
        for autopsy in autopsies(history, None):
            event = autopsy.event
            if (event.segment, event.rank, event.step) == (finding.segment, finding.rank, finding.first_step):
                return autopsy.text()
    return None


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


class AdvisorScreen(Room):
    """The tree of findings and the chosen one in full."""

    name_of = "advisor"
    AUTO_FOCUS = "FindingTree"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy remedy", tooltip="Copy the change to the clipboard (OSC 52)"),
        Binding("e", "evidence", "Evidence", tooltip="The next curve that the finding rests on, its window marked"),
        Binding("t", "threshold", "Threshold", show=False, tooltip="Judge the run again with another threshold"),
        Binding("escape", "as_made", "As it was judged", show=False),
        Binding("enter", "page", "Rule", tooltip="The page of this rule: how it is decided, when it is a false alarm"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._shown: object = None
        self._evidence = 0

    def body(self) -> ComposeResult:
        with Container(id="pair"):
            with Vertical(id="tree"):
                yield FindingTree()
                yield Chart("loss", LOSS)
            with VerticalScroll(id="detail"):
                yield Static(id="finding", markup=False)

    def look(self, view: View) -> None:
        finding = self._finding()
        self._plot(view, finding)
        width = max(self.query_one("#detail").content_size.width - 1, 20)
        if finding is not None:
            states = [one for one in view.history.finding_log if one.id == finding.id]
            text = finding_text(states[: states.index(finding) + 1], width, autopsy_of(finding, view.history))
        else:
            text = rules_text(view.judgement, view.verdict.line)
        if text.markup == self._shown:
            return
        self._shown = text.markup
        self.query_one("#finding", Static).update(text)

    def _plot(self, view: View, finding: Finding | None) -> None:
        """The chosen finding's evidence as a curve, the loss where it has none."""
        chart = self.query_one(Chart)
        found = plottable(view, finding) if finding is not None else []
        if found:
            plot_evidence(chart, found[self._evidence % len(found)])
        else:
            chart.plan("loss", LOSS)
        if chart.styles.display != "none":
            chart.show(view)

    def action_evidence(self) -> None:
        """Show the curve where it is hidden, the text again after the last one."""
        if self.has_class("-wide") and self.has_class("-tall"):
            self._evidence += 1
        elif not self.has_class("-curve"):
            self._evidence = 0
            self.add_class("-curve")
        else:
            self._evidence += 1
            finding, view = self._finding(), self.query_one(Chart).view
            if finding is None or view is None or self._evidence >= len(plottable(view, finding)):
                self.remove_class("-curve")
        self.call_after_refresh(self.post_message, Changed())

    def on_resize(self) -> None:
        self.call_after_refresh(self.post_message, Changed())  # the text is wrapped to its pane

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

    def action_threshold(self) -> None:
        """Ask for another threshold of the chosen finding's rule."""
        finding = self._finding()
        view = self.query_one(FindingTree).view
        if finding is not None and finding.id >= FIRST_ID:
            self.post_message(Notice("a check is judged once: its experiments are over"))
            return
        rule = rules_of(view.history).get(finding.rule) if finding is not None and view is not None else None
        if view is None or finding is None or rule is None or not rule.thresholds:
            self.post_message(Notice("choose a finding whose rule has thresholds"))
            return
        now = ", ".join(f"{name} = {value:g}" for name, value in rule.thresholds.items())

        def take(text: str | None) -> None:
            if text:
                self._judge(view.history, finding.rule, text)

        self.app.push_screen(Ask(f"{finding.rule} judged by {now}; with"), take)

    def _judge(self, history: History, rule: str, text: str) -> None:
        try:
            name, value = changed(history, rule, text)
        except ValueError as error:
            self.post_message(Notice(str(error)))
            return
        self.post_message(Notice("judging again ...; Esc shows what was found in the run itself"))
        self._judge_again(history, rule, name, value)

    @work(thread=True, exclusive=True)
    def _judge_again(self, history: History, rule: str, name: str, value: float) -> None:
        self.post_message(Judged(f"{rule} {name} = {value:g}", rejudged(history, rule, name, value)))

    def action_as_made(self) -> None:
        self.post_message(Judged())

    def action_page(self) -> None:
        finding = self._finding()
        if finding is None:
            return
        try:
            text = page(finding.rule)
        except KeyError:
            text = f"{finding.rule}: this nnwatch does not know the rule; the session was written by another version"
        self.app.push_screen(Page(text))
