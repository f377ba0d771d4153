"""A crash is told with the user's own line, not with the one that raised inside a library."""

from nnwatch.advisor.case import run

from .sessions import sessions


def test_the_line_is_the_user_s_own():
    [finding] = [f for f in run(sessions("crashed")["an-exception"]).history.finding_log if f.rule == "crashed"]
    assert finding.what == "RuntimeError at step 30, train.py:75: CUDA out of memory."
    assert finding.remedies[0].change.startswith("the batch →")
