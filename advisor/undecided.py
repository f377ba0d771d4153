"""Causes that no rule names while a net trains, and why: each is told, none is guessed."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Undecided(NamedTuple):
    """A cause without a rule. ``kind`` "check": decided before training; "undecidable": by nobody but the user."""

    id: str
    title: str
    kind: Literal["check", "undecidable"]
    why: str
    """Why it cannot be decided from what is measured."""
    where: str
    """Where it can be decided."""


UNDECIDED = (
    Undecided(
        "mode-collapse",
        "the generator makes few different samples",
        "undecidable",
        "What enters the loss of a GAN is the discriminator's answer; what the generator made is never seen beside "
        "what it should look like, and both losses look the same when modes are missing.",
        "In the script: log a measure of variety (`nnwatch.log(variety=fake.std(0).mean())`) and watch that it holds.",
    ),
)


def undecided(cause: str) -> Undecided | None:
    """The entry of a cause without a rule, None for one that has a rule or does not exist."""
    return next((entry for entry in UNDECIDED if entry.id == cause), None)
