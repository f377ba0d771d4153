"""causal-leak."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found, number, percent
from ..rule import Rule
from ..window import finite

MASK = "Hide what is asked for"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A model that is to foretell the next element of a sequence, or a hidden one, sees it.

    Why it matters
        The loss becomes very small, in validation too, and nothing is learned: where the model is used, the future is
        not there to be copied.

    How it is decided
        Exact, of tokens that enter the model and are asked for: the first input one place later (a language model), or
        a further input at its own place (a decoder that is given the answer and has to shift it itself). The end of the
        sequences is exchanged between the samples of a batch, and what was given before it must stay as it was, to a
        thousandth of its deviation. An error where it does not, at two steps of the first twenty. Where the loss leaves
        out most places of a sequence (a masked language model), no more than 99 in 100 of those it asks for may stand
        in the input as they are, at every look.

    When it is a false alarm
        A model that is meant to look at both sides and is asked for what it is shown: then the loss says nothing.

    What to do
        A causal mask in every attention layer (is_causal=True, or an upper triangle of -inf), no bidirectional
        recurrence, convolutions padded on the left only; and targets that are shifted once: input[:, :-1] against
        target[:, 1:].
    """
    found = _shown(at, limit) if at.has("target.shown") else None
    if found is not None or not at.has("output.future"):
        return found
    ahead = finite(at.view("output.future").scalar)
    if len(ahead) < limit["looks"]:
        raise Abstain("the end of a sequence was exchanged too seldom")
    least = float(np.min(ahead))
    if least < limit["moved"]:
        return None
    begin = int(at.view("output.future").steps[0])
    return Found(
        "error",
        f"outputs change by {number(least)} of their deviation with what they are to foretell (reference 0)",
        ("the end of the sequences was exchanged, and the outputs before it did not stay as they were",),
        begin,
        (Evidence("output.future", least, 0.0, "change of earlier outputs, in deviations", begin, at.step),),
        (
            Remedy(
                MASK,
                "attention to all places → a causal mask; a decoder that is given the target → the target shifted",
                "output.future is 0; the loss rises to its true value",
            ),
        ),
        "If a mask is there, look for what else goes along the sequence: a flip, a norm over it, two directions.",
        exact=True,
    )


def _shown(at: Context, limit: Mapping[str, float]) -> Found | None:
    """What is asked for stands where it should have been hidden."""
    shown = at.view("target.shown")
    least = float(np.min(shown.scalar))
    if len(shown.scalar) < limit["looks"] or least <= limit["shown"]:
        return None
    begin = int(shown.steps[0])
    return Found(
        "error",
        f"{percent(least)} of what the loss asks for stands in the input, at its own place",
        ("the loss leaves out all but some places of the sequences, and these are not hidden from the model",),
        begin,
        (Evidence("target.shown", least, None, "share of the targets that can be copied", begin, at.step),),
        (Remedy(MASK, "the sequences as they are → masked_fill(asked, MASK) before they enter the model",
                "target.shown is about a tenth; the loss rises to its true value"),),
        "If they are meant to be copied, leave this rule out.",
        exact=True,
    )  # fmt: skip


RULE = Rule(
    "causal-leak",
    "the output sees what it is to foretell",
    "invariant",
    ("output.future", "target.shown"),
    (MASK,),
    "An output must not depend on later inputs: they are exchanged, and it is looked at.",
    check,
    {"looks": 2, "moved": 1e-3, "shown": 0.99},
    votes=(1, 1),
)
