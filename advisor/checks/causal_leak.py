"""causal-leak."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether a model that predicts the next element sees it.

    Why it matters
        A missing mask gives a language model the answer: its loss is wonderful and it cannot write a word.

    How it is decided
        Exact: the share of the gradient of one output position with respect to later input positions. An error where
        the targets are that input some positions later: the one of a language model, and of an encoder and a decoder
        the decoder's, whatever it sees of the source. Told for other sequences, whose model may look both ways.

    When it is a false alarm
        Encoders, taggers and masked language models look both ways on purpose.

    What to do
        is_causal=True, or an upper triangular mask.
    """
    told = at.trial("gradient")
    future = told.get("future")
    if future is None:
        return None
    share = float(future)
    if share <= limit["future"]:
        return Verdict("pass", "no output sees a later input", share, 0.0)
    if not told.get("shift"):
        return Verdict("info", f"outputs see later inputs ({percent(share)} of their gradient)", share, 0.0)
    return Verdict(
        "error",
        f"the model sees what it has to predict: {percent(share)} of the gradient lands on later positions",
        share,
        0.0,
        "attention without a mask → is_causal=True, or an upper triangular mask",
        "the gradient with respect to later positions is exactly 0",
    )


CHECK = Check(
    "causal-leak",
    "no output sees its own future",
    "Exact on one captured step.",
    judge,
    {"future": 1e-6},
)
