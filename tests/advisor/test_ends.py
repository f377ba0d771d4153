"""Ends and bad samples are told with the user's own lines, files and rows."""

import pytest

from nnwatch.advisor.case import run

from .sessions import sessions


def found(rule, case):
    [finding] = [f for f in run(sessions(rule.replace("-", "_"))[case]).history.finding_log if f.rule == rule]
    return finding


def test_the_line_is_the_user_s_own():
    finding = found("crashed", "an-exception")
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
    assert found("crashed", case).remedies[0].title == first


def test_a_message_that_is_only_announced_is_told_with_its_next_line():
    finding = found("crashed", "after-a-checkpoint")
    assert finding.what.endswith('Error(s) in loading state_dict for Sequential: Missing key(s): "0.weight".')
    assert finding.remedies[0].change == "RuntimeError at train.py:75 → gone"


def test_a_run_starts_again_from_a_checkpoint_only_where_one_was_saved():
    assert found("crashed", "after-a-checkpoint").remedies[1].change == "from step 1 → from last.pt (step 20)"
    assert found("crashed", "an-exception").remedies[1].title == "Save checkpoints"


@pytest.mark.parametrize(
    ("case", "where"),
    [("a-nan-in-the-batch", "sample 3 of the batch"), ("rows-of-the-data-set", "rows 700, 12 of the data set")],
)
def test_bad_samples_are_told_by_their_rows_in_the_data_set_where_these_are_known(case, where):
    finding = found("nan-input", case)
    assert finding.what == f"the input of step 41 held NaN or infinity: {where}"
    assert finding.remedies[0].change == f"{where} → dropped or repaired"
