"""The list of runs: opened, compared, on one chart."""

import numpy as np
import pytest
from textual.widgets import DataTable

from nnwatch.frame import FieldSpec, Schema, Segment
from nnwatch.history import History
from nnwatch.tui.app import NnwatchApp
from nnwatch.tui.library import Library, RunRow
from nnwatch.tui.overlay import Run, aligned
from nnwatch.tui.widgets.overlay import Overlay

from .driving import asked, lines, opened, press, settle, text, told
from .library import LIBRARY, RUNS, compared, read
from .recording import START, block

OTHERS = [*RUNS, RunRow("over", "finished", START - 50, 9400, 0.01, "", "/a/over.nnw")]


async def test_enter_opens_another_run():
    async with opened("faulty", library=LIBRARY) as (app, pilot):
        await press(app, pilot, "7")
        await app.workers.wait_for_complete()
        await press(app, pilot, "j", "enter")
        assert app.return_value == "open:/a/digits-0.nnw"


async def test_without_a_run_the_list_comes_first():
    app = NnwatchApp(None, "replay", library=LIBRARY, ascii=False)
    async with app.run_test() as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await settle(app, pilot)
        assert "NO RUN OPEN" in text(app)
        assert app.screen.query_one(DataTable).row_count == 2
        await press(app, pilot, "1", "7", "enter")
    assert app.return_value == "open:/a/digits-1.nnw"


async def test_marked_runs_are_compared_oldest_first():
    library = Library(lambda: OTHERS, read, compared)
    async with opened("faulty", size=(100, 30), library=library) as (app, pilot):
        await press(app, pilot, "7")
        await told(app, pilot, "over")
        await press(app, pilot, "C")
        await told(app, pilot, "mark a run with v")
        await press(app, pilot, "v", "j")
        await told(app, pilot, "▸ digits-1")
        await press(app, pilot, "C")
        await told(app, pilot, "compared /a/over.nnw /a/digits-1.nnw")


async def test_curves_of_several_runs_are_aligned_by_step_by_epoch_or_by_time():
    library = Library(lambda: OTHERS, read, compared)
    async with opened("faulty", size=(100, 30), library=library) as (app, pilot):
        await press(app, pilot, "7")
        await told(app, pilot, "over")
        await press(app, pilot, "v", "j", "O")
        await told(app, pilot, "val loss by step")
        overlay = app.screen.query_one(Overlay)
        by_step = [column for column in overlay.columns() if column is not None]
        assert max(int(column.steps[-1]) for column in by_step) == 9400
        assert "A over" in text(app)
        drawn = "".join(line[8:] for line in lines(app)[4:-4])
        assert ("A" in drawn, "B" in drawn) == (True, True), "named where they end, for those who see no colours"
        assert await asked(app, pilot, "i") == "loss.val"
        await press(app, pilot, "t")
        assert "loss by step" in text(app)
        assert all(column is not None for column in overlay.columns())
        await press(app, pilot, "x", "x")
        assert "loss by time since each run's start" in text(app)
        over, faulty = overlay.columns()
        assert over.steps[-1] == pytest.approx(10 * 2916, rel=0.02), "tenths of a second"
        assert faulty.steps[-1] < over.steps[-1]
        await press(app, pilot, "escape")
        assert "over" in text(app)


async def test_a_recording_that_cannot_be_read_is_one_line():
    async with opened("faulty", size=(100, 30), library=LIBRARY) as (app, pilot):
        await press(app, pilot, "7")
        await told(app, pilot, "digits-0")
        await press(app, pilot, "j", "O")
        await told(app, pilot, "/a/digits-0.nnw: cannot be read")


async def test_where_there_are_no_runs_it_says_how_to_make_one():
    app = NnwatchApp(None, library=Library(list, read, compared), ascii=False)
    async with app.run_test(size=(100, 30)) as pilot:
        await told(app, pilot, "no runs yet: `nnwatch run train.py` makes one")


def test_epochs_are_those_that_were_counted_where_the_length_of_the_loader_is_not_known():
    history = History()
    history.apply(Segment(0, 0, 1, 0.0))
    history.apply(Schema(1, "step", [FieldSpec("loss.train"), FieldSpec("epoch")]))
    steps = np.arange(1, 31)
    history.apply(block(1, steps, steps * 1.0, np.stack([np.ones(30), 1 + (steps > 10) + (steps > 26)], axis=1)))
    column = aligned(Run("one", history), "loss.train", "epoch")
    assert column is not None
    place = dict(zip(steps.tolist(), column.steps.tolist(), strict=True))
    assert place[1] == 0
    assert place[11] == 1_000, "thousandths of an epoch"
    assert place[19] == 1_500
    assert place[27] == 2_000
    assert 2_000 < place[30] < 2_500


def test_before_an_epoch_is_over_there_is_nothing_to_align_by():
    history = History()
    history.apply(Segment(0, 0, 1, 0.0))
    history.apply(Schema(1, "step", [FieldSpec("loss.train"), FieldSpec("epoch")]))
    history.apply(block(1, np.arange(1, 6), np.arange(5.0), np.ones((5, 2))))
    assert aligned(Run("one", history), "loss.train", "epoch") is None
