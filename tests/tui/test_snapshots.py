"""Screens as text, from sessions with a seed and a clock that stands. ``NNWATCH_RECORD=1 pytest`` writes them anew."""

import os
from pathlib import Path

import pytest

from .driving import opened, press, text

FOLDER = Path(__file__).parent / "snapshots"
CASES = [
    ("faulty", "1", (80, 24)),
    ("faulty", "1", (140, 40)),
    ("faulty", "2", (80, 24)),
    ("overfitting", "3", (140, 40)),
    ("faulty", "4", (80, 24)),
    ("faulty", "4", (140, 40)),
    ("healthy", "5", (80, 24)),
    ("crashed", "1", (80, 24)),
    ("crashed", "6", (80, 24)),
    ("waiting", "1", (80, 24)),
    ("overfitting", "1", (45, 20)),
]


@pytest.mark.parametrize(("session", "screen", "size"), CASES)
async def test_the_screen_is_as_it_was(session, screen, size):
    path = FOLDER / f"{session}-{screen}-{size[0]}x{size[1]}.txt"
    async with opened(session, size=size) as (app, pilot):
        await press(app, pilot, screen)
        shown = text(app) + "\n"
    if os.environ.get("NNWATCH_RECORD"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{path.name} differs; if it is meant, NNWATCH_RECORD=1 pytest"
