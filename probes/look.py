"""A look at the batch of a sampled step: what went into the model, what came out, what it was to be."""

from __future__ import annotations

from collections.abc import Sequence

from . import batch, each, inputs, outputs, persistence, rows, sequence
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
    if not terms:
        return
    term = terms[0]
    run("confidence", lambda: sample.outputs(term))
    if term.name in outputs.REGRESSION:
        run("r2", lambda: outputs.r2(term, fetch, lambda value: sample.put("r2.train", value)))
    if training.script.loss is None:
        run("facts", lambda: training.script.loss_called(term))
    if sample.thorough:
        _look_thoroughly(training, sample, terms, entered)


def _look_thoroughly(training: Training, sample: Sample, terms: Sequence[Term], entered: object) -> None:
    run, fetch, put, padding = training.probes.run, training.fetch, sample.detail, training.layers.padding
    term = terms[0]
    run("outputs", lambda: outputs.moments(term, fetch, put))
    run("losses", lambda: each.first(term, batch.EACH, fetch, lambda losses: put("loss.train.each", losses)))
    run("match", lambda: training.match.see(terms, put, "target"))
    if padding:
        run("padding", lambda: batch.padding(term, padding, fetch, put))
    if entered is not None:
        run("rows", lambda: rows.of_input(entered, fetch, put, "input.rows"))
        run("shown", lambda: sequence.shown(entered, term, fetch, put))
        run("persistence", lambda: persistence.loss(term, entered, fetch, lambda loss: put("loss.persistence", loss)))
