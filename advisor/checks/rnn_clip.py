"""rnn-clip."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number
from ..script import layers
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """A recurrent net without gradient clipping.

    Why it matters
        Gradients through many time steps are small most of the time and huge now and then.

    How it is decided
        Recurrent layers and no clip_grad_norm_: told.

    When it is a false alarm
        Short sequences.

    What to do
        clip_grad_norm_(model.parameters(), 1.0) before each step.
    """
    if not layers(at).get("recurrent"):
        return None
    if at.has("grad.clip.max"):
        norm = float(at.view("grad.clip.max").scalar[-1])
        return Verdict("pass", f"gradients are clipped at {number(norm)}", norm)
    return Verdict(
        "info",
        "gradients of a recurrent net are not clipped",
        change="optimizer.step() → clip_grad_norm_(model.parameters(), 1.0) first",
        expect="no gradient norm is over 1",
    )


CHECK = Check("rnn-clip", "clipping for recurrent nets", "Notes C234, C316.", judge)
