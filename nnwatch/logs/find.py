"""Which runs lie in a folder of other tools' logs. Names and dates alone: nothing is read but the heads of tables."""

from __future__ import annotations

import os
from pathlib import Path

from nnwatch.card import Card
from nnwatch.errors import RunError

from .log import Format, changed
from .mlflow import Mlflow
from .table import Table
from .tensorboard import TensorBoard
from .trainer_state import TrainerState
from .wandb import Wandb

FORMATS: tuple[type[Format], ...] = (TensorBoard, Wandb, Mlflow, TrainerState, Table)


def runs(folder: Path) -> list[Card]:
    """The runs in a folder and all below it, newest first."""
    found: dict[tuple[Path, str], type[Format]] = {}
    for place, folders, files in os.walk(folder):
        here = Path(place)
        for form in FORMATS:
            for run in form.runs(here, files, folders):
                found[run, form.name] = form
    cards = [_card(run, form, folder) for (run, _), form in found.items()]
    return sorted(cards, key=lambda card: card.started, reverse=True)


def of_folder(run: str | None) -> list[Card]:
    """The runs in the folder that is meant; none where it is no folder."""
    return runs(Path(run).absolute()) if run and Path(run).is_dir() else []


def run(path: Path) -> Card:
    """The one run that a path means: a file of a log, or a folder in which there is one. Raises RunError."""
    if not path.is_dir():
        for form in FORMATS:
            if any(form.runs(path.parent, [path.name], [])) or (form.name == Table.name and path.suffix == ".csv"):
                return _card(path, form, path.parent)
        raise RunError(f"{path}: not an nnwatch session, nor a log that can be read; {known()}")
    cards = runs(path)
    if not cards:
        raise RunError(f"{path}: a directory without a run in it; {known()}")
    if len(cards) > 1:
        listed = "\n".join(f"  {card.format:20}  {card.session}" for card in cards)
        raise RunError(f"{path}: {len(cards)} runs lie in it; give the path of one:\n{listed}")
    return cards[0]


def known() -> str:
    return f"sessions (*.nnw) can be opened, and logs of {', '.join(form.name for form in FORMATS)}"


def format_of(card: Card) -> type[Format]:
    return next(form for form in FORMATS if form.name == card.format)


def _card(run: Path, form: type[Format], root: Path) -> Card:
    name = str(run.relative_to(root)) if run != root else run.name
    name = name if name.isprintable() else ascii(name)
    return Card("", name, str(run), [], "", changed(form.files(run)), format=form.name)
