"""A picture that takes the keyboard: the one beside is an arrow away, what it shows a letter."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from textual.binding import Binding, BindingType

from ..draw.grid import Ink
from ..messages import About
from .cells import Cells

BESIDE: list[BindingType] = [
    # for those who have the arrows alone; on a page of charts the next one lies below or beside
    Binding("down,j", "app.focus_next", "Next chart", show=False),
    Binding("up,k", "app.focus_previous", "Chart before", show=False),
]


class Explained(Cells, can_focus=True):
    """Subclasses say in ``about`` which metric the page is of."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *BESIDE,
        Binding("i", "about", "About", tooltip="What this metric is, and which rules read it"),
    ]

    @property
    @abstractmethod
    def about(self) -> str:
        """A metric, or a column that is made from some."""

    @property
    def title_ink(self) -> Ink:
        """That the focus is here is said by the title."""
        return Ink.SELECTED if self.has_focus else Ink.TITLE

    def action_about(self) -> None:
        self.post_message(About(self.about))
