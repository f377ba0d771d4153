"""Outcomes and findings as the tests of the score make them."""

from nnwatch.frame import Remedy

from .judge import Outcome, Said


def said(rule, worst="error", step=30, primary=False, cause=None, open=True):
    return Said(rule, worst, step, open, primary, cause, "", None, (Remedy("a", "b", "c"),))


def outcome(*warnings, nonfinite=None):
    return Outcome("mlp/x", 300, nonfinite, warnings, (), {})
