"""Every little session beside a rule, judged by all rules."""

import pytest

from nnwatch.advisor.case import CaseError, run

from .sessions import FOLDER, sessions

STEMS = sorted(file.stem for file in FOLDER.glob("*.toml"))
CASES = [pytest.param(case, id=f"{stem}:{name}") for stem in STEMS for name, case in sessions(stem).items()]


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    result = run(case)
    assert result.finds == case["finds"]
    assert result.primary == case.get("primary")
    failed = [why for j in result.history.judgements for why in j.abstained.values() if "failed" in why]
    assert not failed
    remedies = [remedy for finding in result.history.finding_log for remedy in finding.remedies]
    for remedy in remedies:
        now, _, new = remedy.change.partition("→")
        assert "" not in (now.strip(), new.strip(), remedy.expect), remedy  # what stands, what to write, what it shows


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ({"loss.train": "2.3to1"}, "'2.3to1' is no run of numbers"),
        ({"loss.trian": "2.3x9"}, "loss.trian is no metric"),
        ({"act.dead": {"a ReLU": "0x9", "b ReLU": "0x8"}}, "rows of different lengths"),
    ],
)
def test_a_session_that_cannot_be_read_says_what_is_wrong(case, says):
    with pytest.raises(CaseError, match=says):
        run(case)
