"""Was a mechanism at work in this run? The tests that the edges of the causal graph have to pass."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from .beginning import FAINT, LOUD, scaled
from .belonging import died_late, trained
from .context import Context
from .entering import entering
from .finding import Abstain
from .nonfinite import complaint
from .script import no_activation
from .window import finite, median

Test = Callable[[Context], bool]
EPS = 1e-6
"""An eps of Adam over this was chosen."""
GROWN = 5
"""Times the size of the first targets: no shuffled data are so by chance."""


def always(at: Context) -> bool:
    return True


def from_the_start(at: Context) -> bool:
    """The loss was not falling until the rate was raised: what goes wrong may be a fault that the run began with."""
    with suppress(Abstain):
        return at.raised is None
    return True


def large_updates(at: Context) -> bool:
    """The first updates were large enough to throw units out of their range."""
    try:
        return at.first_peak[0] > 0.1
    except Abstain:
        return True  # the rule that found the rate too high had another reason to


def killed_units(at: Context) -> bool:
    """Large updates came first, dead units afterwards."""
    if not large_updates(at):
        return False
    with suppress(Abstain):
        return at.dead_before(at.first_peak[1]) < 0.4
    return True


def cut(at: Context) -> bool:
    """A layer is so dead that hardly any gradient passes it."""
    return at.dead[0] >= 0.9


def uncut(at: Context) -> bool:
    """The opposite: what is dead was so from the start, as steps that small kill nothing, and lets enough pass."""
    return not cut(at)


def stopped(at: Context) -> bool:
    """What is dead is what stops the input: the first layer itself gets something, and not the same for all samples."""
    found = entering(at)
    return cut(at) and (found is None or (found.size > 0 and not found.constant))


def passed(at: Context) -> bool:
    """The opposite: what is dead is not what stops the input."""
    return not stopped(at)


def usual_weights(at: Context) -> bool:
    """The weights began on the usual scale: what is far off is what the outputs are compared with."""
    return not at.has("weight.norm") or scaled(at, FAINT, LOUD) is None


def given_targets(at: Context) -> bool:
    """The targets are not made by the net itself: then what runs away does so by its steps."""
    return not at.moving_targets


def own_targets(at: Context) -> bool:
    """The targets are the net's own, or have grown to many times those of the first step: what is wrong with them is
    what has become of the net."""
    with suppress(Abstain):
        sizes = finite(np.hypot(at.view("target.mean").scalar, at.view("target.std").scalar))
        return at.moving_targets or bool(len(sizes) > 1 and sizes[-1] > GROWN * sizes[0] > 0)
    return False


def from_outside(at: Context) -> bool:
    """The opposite: what the net is given is not what has become of it."""
    return not own_targets(at)


def thrown(at: Context) -> bool:
    """Targets of an unusual scale were so from outside and from the start."""
    return from_outside(at) and from_the_start(at)


def odd_targets(at: Context) -> bool:
    """The weights began on the usual scale, and it was from outside that the targets came as they are."""
    return usual_weights(at) and from_outside(at)


def complained_of_nan(at: Context) -> bool:
    """The exception that ended the script speaks of a number that is none."""
    return complaint(at) is not None


def unlearned(at: Context) -> bool:
    """The training loss itself got worse: a net that forgets does not overfit."""
    with suppress(Abstain):
        return at.broken or at.risen(1.5) is not None
    return True


def target_is_input(at: Context) -> bool:
    """What is to be put out is what was put in (an autoencoder): the targets have the scale of the input."""
    with suppress(Abstain):
        given, wanted = (median(at.view(f"{kind}.mean").thin(100).scalar) for kind in ("input", "target"))
        return abs(given - wanted) <= 0.01 * abs(given)
    return False


def varies(at: Context) -> bool:
    """What enters the net does vary; an input that hardly does is ignored with good reason."""
    with suppress(Abstain):
        return median(at.view("input.std").thin(100).scalar) > 0.1
    return False


def overflowed(at: Context) -> bool:
    """The first number that was none is one that its type could not hold."""
    return at.amp and any(e.data.get("origin") == "overflow" for e in at.events("nonfinite"))


def skipped(at: Context) -> bool:
    """Steps were left out while the scaler looked for a scale."""
    return at.has("step.skipped")


def val_is_worse(at: Context) -> bool:
    """The last validation loss is above the training loss: what runs differently in validation shows there."""
    with suppress(Abstain):
        ev = at.evaluations
        return len(ev.loss) > 0 and float(ev.loss[-1]) > at.recent_loss()
    return False


def recurrent(at: Context) -> bool:
    """Gradients explode by themselves through many steps of time; elsewhere they grow with a loss that runs away."""
    return bool((at.facts.get("layers") or {}).get("recurrent"))


def misled(at: Context) -> bool:
    """Units died on the way, of targets that taught them nothing; or the targets have come to fit after all."""
    return died_late(at) or fits(at)


def fits(at: Context) -> bool:
    """The training targets have come to fit their own samples, and the loss is lower for it: steps and units do what
    they should."""
    with suppress(Abstain):
        return trained(at, 0.5).told and at.recent_loss() < at.first_loss
    return False


def astray(at: Context) -> bool:
    """The opposite: nothing fits a net that was written over."""
    return not fits(at)


def strait(at: Context) -> bool:
    """A layer is too narrow for anything to pass, or nothing bends: what goes wrong behind it is no wonder."""
    with suppress(Abstain):
        return at.strait or no_activation(at)
    return False


def wide(at: Context) -> bool:
    """The opposite: the net can hold more than that."""
    return not strait(at)


def large_eps(at: Context) -> bool:
    """Somebody chose an eps under which usual gradients are small."""
    return float(at.optimizer.get("eps") or 0) > EPS


def usual_eps(at: Context) -> bool:
    """The opposite: gradients that are as small as that vanish by themselves."""
    return not large_eps(at)


def shrinking(at: Context) -> bool:
    """A usual rate makes weights grow, and these have shrunk to a tenth: what moved them is the decay."""
    weights = at.view("weight.norm").values[:, at.matrices]
    return bool(np.median(weights[-1]) < 0.1 * np.median(weights[0]))


def slowed(at: Context) -> bool:
    """The rate is far under what it was at its highest."""
    with suppress(Abstain):
        return at.lr_at(at.step) < 0.1 * at.lr
    return False
