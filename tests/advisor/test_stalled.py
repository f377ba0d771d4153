"""A silence is told with the line that stands still, where it could be read."""

from nnwatch.advisor.case import run

from .sessions import sessions


def test_the_rank_that_holds_the_others_up_is_named():
    cases = sessions("stalled")
    [held] = [f for f in run(cases["the-rank-that-holds-the-others-up"]).history.finding_log if f.rule == "stalled"]
    assert held.why.endswith("rank 1 is in its own code at train.py:9 in prepare; ranks 0, 2 wait for it")
    [unknown] = [f for f in run(cases["waiting-for-a-worker"]).history.finding_log if f.rule == "stalled"]
    assert unknown.why.endswith("its processes use 1 % of a core")
