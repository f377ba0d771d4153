"""Every way people train, under `nnwatch run`: what was recorded is what the script itself counted."""

import pytest

from .running import missing, outcome
from .styles import STYLES, runs
from .table import PAGE, page, row

RUNS = runs()


@pytest.mark.slow
@pytest.mark.parametrize("styles", RUNS, ids=["-".join({each.script.split()[0]: each for each in run}) for run in RUNS])
def test_styles(styles):
    absent = missing(styles[0])
    if absent is not None:
        pytest.skip(f"{absent} is not installed: pip install -e '.[frameworks]'")
    for style, had in zip(styles, outcome(styles), strict=True):
        assert {name for name, there in had.items() if not there} == set(style.lacks), style.title
        assert row(style, had) in PAGE.read_text("utf-8").splitlines(), "run `make styles` and commit what it wrote"


def test_the_page_has_a_row_for_every_style_and_nothing_else():
    text = PAGE.read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| style")]
    assert [line.split(" | ")[0][2:] for line in rows] == [style.title for style in STYLES]
    assert text == page(rows)
