"""lstm-bias."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import number
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """The bias of an LSTM's forget gate before the training.

    Why it matters
        At a bias of 0 half of the memory is forgotten in each step: over 20 steps nothing is left to learn from.

    How it is decided
        The mean of both forget biases, added: under 0.5 is told.

    When it is a false alarm
        Short sequences.

    What to do
        bias_hh[hidden:2*hidden].fill_(1.0) (Jozefowicz et al. 2015).
    """
    found = [entry for entry in at.trial("model").get("recurrent") or () if entry[2] is not None]
    if not found or at.finetune:
        return None
    name, kind, bias = str(found[0][0]), str(found[0][1]), float(found[0][2])
    said = f"the forget gate of {name} begins with a bias of {number(bias)}"
    if bias >= limit["bias"]:
        return Verdict("pass", said, bias, 1.0)
    return Verdict(
        "info",
        said,
        bias,
        1.0,
        f"{kind} {name}{of_layer(at, name)} → bias_hh[hidden:2*hidden].fill_(1.0)",
        "the forget bias is 1",
    )


CHECK = Check("lstm-bias", "an LSTM that remembers", "Note C238; Jozefowicz et al. 2015.", judge, {"bias": 0.5})
