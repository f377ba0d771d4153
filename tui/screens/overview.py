"""Screen 1: how the training goes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from nnwatch.advisor.verdict import EARLY

from ..curves import ACCURACY, LOSS, Curve
from ..draw.grid import Ink
from ..draw.text import number
from ..layers import GUIDE
from ..state import last_words
from ..view import View
from ..widgets.chart import Chart
from ..widgets.rows import Progress, Row, Rows
from .room import Room, Words

_WORDS = 5


def _times_guide(view: View, value: float) -> str:
    return f"{number(value / GUIDE, 2)} × guide 1e-3" if value == value else ""


def _clipped(view: View, value: float) -> str:
    limit = view.value("grad.clip.max")
    return f"clipped at {number(limit)}" if limit is not None else ""


def _validation(view: View, value: float) -> str:
    accuracy = view.value("accuracy.val")
    return f"val {accuracy:.1%}" if accuracy is not None and accuracy == accuracy else ""


def _data_wait(view: View, value: float) -> str:
    wait, step = view.value("data.wait"), view.value("step.seconds")
    return f"waits for data {wait / step:.0%}" if wait is not None and step else ""


def _percent(value: float) -> str:
    return f"{value:.1%}"


ROWS = [
    Row(
        "accuracy.train",
        "accuracy",
        _percent,
        worst="low",
        note=_validation,
        other=Row("accuracy.val", "val accuracy", _percent, worst="low", ink=Ink.SERIES + 1),
    ),
    Row("lr", "learning rate", number, ink=Ink.SERIES + 3),
    Row("update.ratio", "update/weight", number, log=True, note=_times_guide, ink=Ink.SERIES + 2),
    Row("grad.norm", "gradient norm", number, log=True, note=_clipped, ink=Ink.SERIES + 5),
    Row(
        "samples.rate",
        "samples/s",
        number,
        worst="low",
        note=_data_wait,
        ink=Ink.DIM,
        other=Row("steps.rate", "steps/s", number, worst="low", note=_data_wait, ink=Ink.DIM),
    ),
]


class _Columns(Horizontal):
    BLANK = True  # charts cover it: lines that nobody sees are not made


class _Stack(Vertical):
    BLANK = True


class Overview(Room):
    """Loss large; the other metrics as rows where there is little room, as charts where there is much."""

    name_of = "overview"
    AUTO_FOCUS = "#loss"
    _words = 0
    """Last words of a crashed run that are shown."""

    def body(self) -> ComposeResult:
        yield Words(id="last-words")
        with _Columns(id="charts"):
            with _Stack(id="main"):
                yield Chart(
                    "loss",
                    LOSS,
                    missing="no loss function was called yet",
                    id="loss",
                )
                yield Chart(
                    "accuracy",
                    ACCURACY,
                    kind="linear",
                    missing="no classification loss seen, so no accuracy",
                    id="accuracy",
                )
            with _Stack(id="side"):
                yield Chart(
                    "update/weight",
                    [Curve("update.ratio", "median", 2)],
                    kind="log",
                    guide=GUIDE,
                    missing="no optimizer step sampled",
                    id="update",
                )
                yield Chart("gradient norm", [Curve("grad.norm", "", 5)], missing="no gradient sampled", id="gradient")
                yield Chart("learning rate", [Curve("lr", "", 3, smooth=False)], missing="no optimizer seen", id="lr")
        yield Rows(ROWS, id="rows")
        yield Rows(ROWS[-1:], id="rate")
        yield Progress()

    def look(self, view: View) -> None:
        self._last_words(view)
        counted = view.head < EARLY or view.column("accuracy.train") or view.column("accuracy.val")
        self.set_class(not counted, "-no-accuracy")  # no classification: the loss has the room

    def _last_words(self, view: View) -> None:
        words = self.query_one("#last-words", Words)
        failed = view.state.kind == "failed" and view.until is None
        lines = last_words(view.history, min(_WORDS, self.size.height // 6)) if failed else []
        words.say([(line, Ink.ERROR if i == len(lines) - 1 else Ink.DIM) for i, line in enumerate(lines)])
        if words.display != bool(lines):
            words.display = bool(lines)
        if len(lines) != self._words:  # to set a style is work even where it stays
            self._words = len(lines)
            words.styles.height = max(len(lines), 1)
