"""resume-mismatch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnwatch.frame import Event, Evidence, Remedy, Severity
from nnwatch.history import Track

from ..context import Context
from ..finding import Abstain, Found, number
from ..place import of_optimizer
from ..rule import Rule
from ..window import finite, median, noise

STATE = "Restore everything that was saved"
RATE = "Restore the learning rate"
NAMES = "Give the weights the model's names"


def check(at: Context, limit: Mapping[str, float]) -> Found | None:
    """The training goes on from a checkpoint, but not where it stopped.

    Why it matters
        Weights without the state of the optimizer, of the schedule or of the averages: the first steps undo what was
        learned, and the schedule is run through a second time.

    How it is decided
        The checkpoint is found in what was recorded before. First key: the median of the first 20 losses is over five
        standard deviations and a fifth above that of the 20 before it was saved. Second key: the learning rate differs
        by over a half, or the first updates are three times as large as those before. One alone is *watch*. Or exactly:
        load_state_dict(strict=False) found none of the model's weights in the file, and said so to nobody.

    When it is a false alarm
        Fine-tuning on other data begins with another loss and another rate on purpose. A checkpoint from a recording
        that is not in this session cannot be compared: it says so.

    What to do
        Save and load model, optimizer, scheduler, scaler, step, and the random states together.
    """
    if unused := at.events("checkpoint.unused"):
        return _unused(at, unused[-1])
    loaded = at.events("checkpoint.loaded")
    if not loaded and not at.facts.get("resumed"):
        raise Abstain("no checkpoint was loaded")
    path = str(loaded[-1].data.get("path")) if loaded else str(at.facts["resumed"].get("path"))
    before = _source(at, path, loaded[-1].step if loaded else 0)
    if before is None:
        raise Abstain("the checkpoint was not saved in this session: there is nothing to compare it with")
    track, saved = before
    start = loaded[-1].step if loaded else at.track.segment.first_step
    first = finite(at.loss.since(start + 1).scalar[:20])
    old = track.get("loss.train")
    if len(first) < 20 or old is None:
        raise Abstain("it needs 20 losses")
    last = finite(old.scalar[: old.until(saved)][-60:])
    if len(last) < 20:
        raise Abstain("too little was recorded before the checkpoint")
    then, now = median(last[-20:]), median(first)
    keys: list[str] = []
    if now > then + limit["z"] * noise(last) / np.sqrt(20) * 1.25 and now > limit["rise"] * then:
        keys.append(f"the loss was {number(then)} when {path} was saved at step {saved}, and is {number(now)} after it")
    rates = _rates(at, track, saved, start)
    if rates and not 1 / limit["rate"] < rates[1] / max(rates[0], 1e-30) < limit["rate"]:
        keys.append(f"the learning rate was {number(rates[0])} and is {number(rates[1])}")
    updates = _updates(at, track, saved, start)
    if updates and updates[1] > limit["updates"] * updates[0]:
        keys.append(f"an update changed {number(updates[0])} of the weights before, and {number(updates[1])} after it")
    if not keys or not keys[0].startswith("the loss"):
        return None
    severity: Severity = "warn" if len(keys) > 1 else "watch"
    expect = f"the first losses are about {number(then)}"
    remedies = [
        Remedy(STATE, f"load_state_dict of the model alone → of optimizer, scheduler and scaler too{of_optimizer(at)}",
               expect),
    ]  # fmt: skip
    if rates and len(keys) > 1:
        remedies.append(Remedy(RATE, f"lr {number(rates[1])} → {number(rates[0])}{of_optimizer(at)}", expect))
    return Found(
        severity,
        f"after {path} was loaded the loss is {number(now)}; it was {number(then)} when it was saved",
        tuple(keys),
        start + 1,
        (Evidence("loss.train", now, then, "median of 20 losses after against before", start + 1, start + 20),),
        tuple(remedies),
        "If all of it is restored, compare the data: another order, another split, another preprocessing.",
    )


def _unused(at: Context, event: Event) -> Found:
    wanted, given = (str(event.data.get(name)) for name in ("wanted", "given"))
    path = str(event.data.get("path") or "the state it was given")
    begin = at.track.segment.first_step + 1
    return Found(
        "error",
        f"none of the model's {event.data.get('weights')} weights was found in {path}: they are as they were made",
        (f"the model looks for {wanted}, and finds {given}", "strict=False passes over names that do not fit"),
        begin,
        (Evidence("loss.train", at.initial_loss, None, "the first loss", begin, begin),),
        (Remedy(NAMES, f"{given} → {wanted}, and strict=True", "the first losses are as low as when it was saved"),),
        "If the weights are of another model, load those that fit by hand and print what is left.",
        exact=True,
    )


def _source(at: Context, path: str, until: int) -> tuple[Track, int] | None:
    """The track in which the checkpoint was saved, and the step of its last saving; None where not recorded."""
    here = at.track.segment.segment, at.track.segment.rank

    def ours(event: Event) -> bool:
        same = event.segment == here[0]
        return event.rank == here[1] and (event.segment < here[0] or (same and event.step < until))

    saved = [e for e in at.history.events if e.name == "checkpoint.saved" and e.data.get("path") == path and ours(e)]
    if not saved:
        return None
    track = at.history.tracks.get((saved[-1].segment, here[1]))
    return (track, saved[-1].step) if track is not None else None


def _rates(at: Context, track: Track, saved: int, start: int) -> tuple[float, float] | None:
    """Largest learning rate before and after."""
    series = track.get("lr")
    if series is None or not series.until(saved) or not at.has("lr"):
        return None
    return float(np.max(series.values[series.until(saved) - 1])), at.lr_at(start + 1)


def _updates(at: Context, track: Track, saved: int, start: int) -> tuple[float, float] | None:
    """Typical update of a weight matrix before and after."""
    series = track.get("update.ratio")
    if series is None or series.until(saved) < 5 or not at.has("update.ratio"):
        return None
    before = median(series.values[: series.until(saved)][-10:].ravel())
    after = median(at.view("update.ratio").since(start + 1).values[:10].ravel())
    return (before, after) if before > 0 and after > 0 else None


RULE = Rule(
    "resume-mismatch",
    "the training did not go on where it stopped",
    "statistical",
    ("loss.train", "lr", "update.ratio"),
    (STATE, RATE, NAMES),
    "Two keys: the loss and the rate, or the updates, before and after the checkpoint.",
    check,
    {"z": 5, "rise": 1.2, "rate": 1.5, "updates": 3},
)
