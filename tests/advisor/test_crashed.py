"""A crash is told with the user's own line, not with the one that raised inside a library."""

import pytest

from nnwatch.advisor.case import run

from .sessions import sessions


def test_the_line_is_the_user_s_own():
    [finding] = [f for f in run(sessions("crashed")["an-exception"]).history.finding_log if f.rule == "crashed"]
    assert finding.what == "RuntimeError at step 30, train.py:75: CUDA out of memory."
    assert finding.remedies[0].change.startswith("the batch →")


@pytest.mark.parametrize(
    ("case", "first"),
    [
        ("killed", "Use less memory"),
        ("killed-for-want-of-memory", "Use less memory"),
        ("killed-by-another-process", "Fix the exception"),
    ],
)
def test_less_memory_is_advised_unless_it_was_not_for_want_of_it(case, first):
    [finding] = [f for f in run(sessions("crashed")[case]).history.finding_log if f.rule == "crashed"]
    assert finding.remedies[0].title == first
