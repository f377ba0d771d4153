"""Screens as text at 80×24 and 140×40, from sessions with a seed, a clock that stands and local time in UTC.
``NNWATCH_RECORD=1 pytest tests/tui/test_snapshots.py`` writes them anew."""

import os
from pathlib import Path

import pytest

from nnwatch.frame import Commit, Event

from .driving import opened, press, settle, text, told
from .library import RECORDED
from .recording import START, Frames, ranked
from .sessions import SESSIONS

FOLDER = Path(__file__).parent / "snapshots"
SIZES = (80, 24), (140, 40)
PHONE = ((45, 20),)
CASES = {
    "overview": ("faulty", "", SIZES),
    "overview-phone": ("overfitting", "", PHONE),
    "overview-frozen": ("faulty", "h h h h", SIZES),
    "overview-clock": ("overfitting", "x", SIZES),
    "overview-zoomed-log": ("healthy", "plus plus y", SIZES),
    "overview-crashed": ("crashed", "", SIZES),
    "overview-waiting": ("waiting", "", SIZES),
    "overview-stalled": ("stalled", "", SIZES),
    "layers": ("faulty", "2", SIZES),
    "layers-all": ("faulty", "2 f o", SIZES),
    "layer": ("faulty", "2 slash h e a d enter enter", SIZES),
    "confidence": ("overfitting", "3", SIZES),
    "reliability": ("overfitting", "3 v", SIZES[:1]),
    "advisor": ("faulty", "4", SIZES),
    "advisor-evidence": ("faulty", "4 e", SIZES),
    "advisor-abstained": ("faulty", "4 G j j j j", SIZES),
    "rule": ("faulty", "4 enter", SIZES),
    "system": ("healthy", "5", SIZES),
    "ranks": ("ranks", "5", SIZES),
    "console": ("crashed", "6", SIZES),
    "runs": ("faulty", "7 ~over", SIZES),
    "compare": ("faulty", "7 ~over j v C ~planned_steps", SIZES),
    "ledger": ("faulty", "7 ~over v v v C ~dead-relu", SIZES),
    "overlay": ("faulty", "7 ~over v v v O ~by·step", SIZES),
    "overlay-time": ("faulty", "7 ~over v v v O ~by·step x x", SIZES),
    "metrics": ("overfitting", "m", SIZES),
    "metric": ("overfitting", "m u p d a t e / enter", SIZES),
    "help": ("faulty", "question_mark", SIZES),
}
"""Session, keys (``~words``: wait for them, a dot in the middle is a blank), sizes."""


def frames(session):
    if session == "ranks":
        return ranked([0.1, 0.1, 0.25, 0.1])
    if session == "stalled":
        silent = {"seconds": 130.0, "usual": 0.02, "where": "waiting for another thread, a worker or a collective"}
        return [*SESSIONS["faulty"](), Event("stalled", START + 156.0, 1_200, data=silent), Commit(START + 170.0)]
    return SESSIONS[session]()


@pytest.mark.parametrize("case", CASES)
async def test_the_screen_is_as_it_was(case):
    session, keys, sizes = CASES[case]
    async with opened(session, size=sizes[0], source=Frames(frames(session)), library=RECORDED) as (app, pilot):
        for key in keys.split():
            if key.startswith("~"):
                await told(app, pilot, key[1:].replace("·", " "))
            else:
                await press(app, pilot, key)
        for width, height in sizes:
            await pilot.resize_terminal(width, height)
            await settle(app, pilot)
            path, shown = FOLDER / f"{case}-{width}x{height}.txt", text(app) + "\n"
            if os.environ.get("NNWATCH_RECORD"):
                path.write_text(shown, encoding="utf-8")
            assert shown == path.read_text(encoding="utf-8"), f"{path.name} differs; see above if it is meant"
