"""checkpoint-no-grad."""

from __future__ import annotations

from collections.abc import Mapping

from nnwatch.frame import Evidence, Remedy

from ..context import Context
from ..finding import Abstain, Found
from ..rule import Rule

OTHER = "Use the other checkpoint implementation"
REQUIRE = "Let its input require a gradient"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """A checkpointed block gets no gradient, because nothing that enters it requires one.

    Why it matters
        The reentrant kind of torch.utils.checkpoint looks at its inputs only: behind frozen layers or raw data none
        requires a gradient, and then nothing inside the block is trained, without an error.

    How it is decided
        Exact: checkpoint() was called with use_reentrant=True and without an input that requires a gradient, in a
        training step, around parameters that do.

    When it is a false alarm
        Never, unless the block is meant to stay as it is: then freeze it.

    What to do
        use_reentrant=False, or model.enable_input_require_grads() as the adapters' libraries offer it.
    """
    if "reentrant_frozen" not in at.facts:
        raise Abstain("no checkpointed block was seen")
    place = at.facts["reentrant_frozen"]
    if not place:
        return None
    return Found(
        "error",
        f"nothing in the block checkpointed at {place} is trained",
        ("it is checkpointed with use_reentrant=True, and no input of it requires a gradient",),
        at.track.segment.first_step + 1,
        (Evidence("grad.norm.layer", 0.0, None, "gradient inside the block", 1, at.step),),
        (
            Remedy(OTHER, f"checkpoint(f, x, use_reentrant=True) → use_reentrant=False ({place})",
                   "the gradients inside the block are above 0"),
            Remedy(REQUIRE, f"x → x.requires_grad_() in front of the block ({place})",
                   "the gradients inside the block are above 0"),
        ),
        "If it is to stay as it is, call requires_grad_(False) on the block.",
        exact=True,
    )  # fmt: skip


RULE = Rule(
    "checkpoint-no-grad",
    "a checkpointed block gets no gradient",
    "invariant",
    ("grad.norm.layer",),
    (OTHER, REQUIRE),
    "Documentation of torch.utils.checkpoint: the reentrant variant needs an input that requires a gradient.",
    check,
    votes=(1, 1),
)
