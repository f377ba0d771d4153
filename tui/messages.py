"""What widgets tell the app."""

from __future__ import annotations

from textual.message import Message

from nnwatch.history import History


class Arrived(Message):
    """There is something new to show; posted by the thread that reads."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Arrived)


class Changed(Message):
    """The user changed what is looked at: redraw."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Changed)


class ShowSegment(Message):
    """The user asks for a segment, for the one before this where the number is None."""

    def __init__(self, number: int | None = None) -> None:
        super().__init__()
        self.number = number


class About(Message):
    """The user asks what a metric is, or a column that is made from some."""

    def __init__(self, metric: str) -> None:
        super().__init__()
        self.metric = metric


class Notice(Message):
    """One line for the user."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Judged(Message):
    """Show the findings of another judgement, made with ``threshold``; those that were made where it is None."""

    def __init__(self, threshold: str = "", history: History | None = None) -> None:
        super().__init__()
        self.threshold = threshold
        self.history = history
