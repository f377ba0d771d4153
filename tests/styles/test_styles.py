"""Every way people train, under `nnwatch run`: what was recorded is what the script itself counted."""

import pytest

from .running import missing, outcome
from .styles import STYLES


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.script.replace(" ", "-"))
def test_style(style):
    absent = missing(style)
    if absent is not None:
        pytest.skip(f"{absent} is not installed: pip install -e '.[frameworks]'")
    had = outcome(style.title)
    assert {name for name, there in had.items() if not there} == set(style.lacks)
