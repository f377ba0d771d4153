"""The question when one leaves a run that this screen started."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

Choice = Literal["detach", "stop", "kill"]


class Leave(ModalScreen[Choice | None]):
    """Detach, stop or kill; None to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,ctrl+c", "dismiss(None)", "Stay"),
        Binding("d", "choose('detach')", "Detach"),
        Binding("s", "choose('stop')", "Stop"),
        Binding("k", "choose('kill')", "Kill"),
    ]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Label("The training is running. Leave it how?")
            yield OptionList(
                Option("Detach: it goes on; `nnwatch attach` comes back  (d)", id="detach"),
                Option("Stop cleanly: Ctrl+C to the script, SIGTERM if that does not help  (s)", id="stop"),
                Option("Kill: at once, nothing is saved  (k)", id="kill"),
            )
            yield Label("Enter chooses, Esc stays here", classes="hint")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)  # type: ignore[arg-type]  # the ids above

    def action_choose(self, choice: Choice) -> None:
        self.dismiss(choice)
