"""Every little session beside a rule, judged by all rules."""

from pathlib import Path

import pytest

from nnwatch.advisor import rules
from nnwatch.advisor.case import load, run

FILES = sorted(Path(rules.__path__[0]).glob("*.toml"))
CASES = [pytest.param(case, id=f"{file.stem}:{name}") for file in FILES for name, case in load(file).items()]


@pytest.mark.parametrize("case", CASES)
def test_case(case):
    result = run(case)
    assert result.finds == case["finds"]
    assert result.primary == case.get("primary")
    failed = [why for j in result.history.judgements for why in j.abstained.values() if "failed" in why]
    assert not failed
