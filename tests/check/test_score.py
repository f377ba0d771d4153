"""The scripts of the score, and its table; trying them all is `make score-check`."""

import ast
from itertools import pairwise

from nnwatch.advisor.check import all_checks
from nnwatch.advisor.examine import examine

from ..advisor.test_checks import BROKEN, history
from .score import NEVER_HERE, REPORTS, Row, Script, scripts, table


def test_every_check_has_a_script_that_fails_it_and_a_twin():
    made = scripts()
    ids = {check.id for check in all_checks()}
    for kind in ("faulty", "twin"):
        asked = {script.check for script in made if script.kind == kind}
        assert asked == ids - REPORTS - set(NEVER_HERE)
    assert sum(script.kind == "faulty" for script in made) >= 30


def test_there_are_forty_sound_scripts_none_twice():
    sound = [script for script in scripts() if script.kind == "healthy"]
    assert len({script.text for script in sound}) == len(sound) >= 40


def test_every_script_is_python_and_a_twin_differs_from_its_fault():
    made = scripts()
    for script in made:
        ast.parse(script.text)
    for fault, twin in pairwise(made):
        if fault.kind == "faulty":
            assert twin.text != fault.text


def test_the_table_counts_apart_what_could_not_be_tried():
    seen = examine(history(BROKEN))
    rows = [
        Row(Script("raw", "faulty", "", "input-normalisation", "warn"), seen, None),
        Row(Script("sparse", "faulty", "", "imbalance", "warn"), seen, None),
        Row(Script("raw, twin", "twin", "", "corrupt"), seen, None),
        Row(Script("sound", "healthy", ""), seen, None),
        Row(Script("broken", "healthy", ""), None, "it needs an argument"),
    ]
    said = table(rows)
    assert "faulty scripts whose check fails as it should: 1 of 2 (50.0 %" in said
    assert "sound twins that pass that check: 1 of 1 (100.0 %" in said
    assert "sound scripts without a warning: 0 of 1 (0.0 %" in said
    assert "scripts that could not be tried: 1" in said
    assert "not tried: broken: it needs an argument" in said
    assert "MISSED sparse" in said
    assert "change first: input-normalisation" in said
