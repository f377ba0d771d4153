"""A look at the batch of a sampled step: what went into the model, what came out, what it was to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import batch, each, inputs, outputs, persistence, rows, sequence
from .ctc import by_sample
from .loss import Term
from .sample import Sample
from .training import Training


def look(training: Training, sample: Sample, terms: Sequence[Term]) -> None:
    """Before the backward pass. ``terms`` are the loss calls that the pass is for; the first stands for all but in what
    is compared by kind."""
    sample.looked = True
    run, fetch, layers = training.probes.run, training.fetch, training.layers
    share = layers.modes.share(evaluating=False)
    if share is not None:
        sample.put("mode.train", share)
    entered = layers.call[1:3] if layers.call is not None else None
    if entered is not None:
        run("inputs", lambda: inputs.moments("input", entered, fetch, sample.put))
    if training.node is not None:
        run("distributions", lambda: training.distributions.written(training.node))
    if sample.thorough and entered is not None:
        run("rows", lambda: rows.of_input(entered, fetch, sample.detail, "input.rows"))
    if terms:
        _compare(training, sample, terms, sample.put)
        if sample.thorough:
            _look_thoroughly(training, sample, terms[0], entered)


def look_written(training: Training, sample: Sample, terms: Sequence[Term], whole: bool) -> None:
    """The same, in a thorough sample, of what a loss compares that is written by hand; ``whole``: and nothing else."""
    if terms and sample.thorough:
        _compare(training, sample, terms, sample.detail)
        if whole:
            entered = training.layers.call[1:3] if training.layers.call is not None else None
            _look_thoroughly(training, sample, terms[0], entered)


def _compare(training: Training, sample: Sample, terms: Sequence[Term], put: Callable[..., None]) -> None:
    """Predictions with targets, whatever becomes of it."""
    run, fetch, term = training.probes.run, training.fetch, terms[0]
    run("confidence", lambda: sample.outputs(term, put))
    if term.name in outputs.REGRESSION:
        run("r2", lambda: outputs.r2(term, fetch, lambda value: put("r2.train", value)))
    if sample.thorough:
        run("outputs", lambda: outputs.moments(term, fetch, sample.detail))
        run("match", lambda: training.match.see([by_sample(t) for t in terms], sample.detail, "target"))


def _look_thoroughly(training: Training, sample: Sample, term: Term, entered: object) -> None:
    """What is of use where the call's number is the loss."""
    run, fetch, put, padding = training.probes.run, training.fetch, sample.detail, training.layers.padding
    run("losses", lambda: each.first(by_sample(term), batch.EACH, fetch, lambda losses: put("loss.train.each", losses)))
    if padding:
        run("padding", lambda: batch.padding(term, padding, fetch, put))
    if entered is not None:
        run("shown", lambda: sequence.shown(entered, term, fetch, put))
        run("persistence", lambda: persistence.loss(term, entered, fetch, lambda loss: put("loss.persistence", loss)))
