"""gradient-to-input."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, State, Verdict
from ..finding import percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether the loss depends on the input, and the loss of a sample on that sample alone.

    Why it matters
        A gradient of exactly zero with respect to the input says that the net cannot see it: a detach, a no_grad, a
        variable that was overwritten. A gradient that lands on other samples says that a reshape or a mean mixes the
        batch.

    How it is decided
        Exact, on a captured step: the share of input elements whose gradient is not zero, and the share of the
        gradient of one sample's loss that lands on others. BatchNorm in training mode mixes samples on purpose and
        takes the second question away.

    When it is a false alarm
        Contrastive losses compare samples with each other: told only where the loss is none of the usual ones.

    What to do
        view or reshape only joins axes that lie side by side; permute first.
    """
    told = at.trial("gradient")
    inputs = {_named(str(name)): float(share) for name, share in (told.get("inputs") or {}).items()}
    across = float(told.get("across") or 0.0)
    if inputs and max(inputs.values()) == 0:
        return Verdict(
            "error",
            "the loss does not depend on the input: its gradient is exactly 0",
            0.0,
            None,
            "forward() as it is → without detach() or no_grad(), on the input it is given",
            "the gradient with respect to the input is not 0",
        )
    if across > limit["across"] and not at.batchnorm:
        usual = bool((at.facts.get("loss") or {}).get("name") in ("cross_entropy", "nll_loss", "mse_loss", "l1_loss"))
        state: State = "error" if usual and not at.several_terms else "info"
        return Verdict(
            state,
            f"{percent(across)} of the gradient of one sample's loss lands on other samples",
            across,
            0.0,
            "a reshape that mixes samples → permute before view, or reductions over dim=1 and later",
            "no gradient lands on other samples",
        )
    blind = [name for name, share in inputs.items() if share == 0]
    if blind:
        return Verdict("info", f"the loss does not depend on the input {', '.join(blind)}", 0.0, None)
    seen = ", ".join(f"{percent(share)} of {name}" for name, share in inputs.items())
    return Verdict(
        "pass", f"the loss depends on {seen or 'its input'}, each sample's on that sample alone", across, 0.0
    )


def _named(argument: str) -> str:
    """Arguments of the model that are told by their place are counted from 1."""
    return f"the model's argument {int(argument) + 1}" if argument.isdigit() else argument


CHECK = Check(
    "gradient-to-input", "a loss that sees its input", "Note B32. Exact on one captured step.", judge, {"across": 1e-6}
)
