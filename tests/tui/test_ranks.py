"""Runs of several processes."""

import numpy as np
from msgspec import structs

from nnwatch.frame import Block
from nnwatch.tui.widgets.ranks import Ranks

from .driving import asked, lines, opened, press, text
from .recording import Frames, ranked


def rows(app):
    return [line.split() for line in lines(app) if line[:1].isdigit() and "more," not in line]


async def test_every_rank_has_a_row_and_the_slow_one_is_marked():
    async with opened("faulty", size=(100, 40), source=Frames(ranked([0.1, 0.1, 0.25, 0.1]))) as (app, pilot):
        assert "steps/s 10.0" in " ".join(text(app).split()), "where the samples of a step are not known"
        await press(app, pilot, "5")
        assert "rank 0 of 4" in lines(app)[0], "whose curves these are"
        assert [row[0] for row in rows(app)] == ["0", "1", "2", "3"]
        assert rows(app)[2][1:6] == ["100", "2.02", "0.250", "!", "25%"]
        assert "!" not in rows(app)[0]


def broken(frame, rank):
    """The block of a rank with a last loss that is not finite."""
    if not isinstance(frame, Block) or frame.rank != rank:
        return frame
    values = np.frombuffer(frame.values, np.float32).copy()
    values[99] = np.nan
    return structs.replace(frame, values=values.tobytes())


async def test_of_many_ranks_the_odd_ones_come_first_and_all_are_reached_on_a_phone():
    frames = [broken(frame, 17) for frame in ranked([0.1] * 30 + [0.3, 0.1])]
    async with opened("faulty", size=(45, 20), source=Frames(frames)) as (app, pilot):
        await press(app, pilot, "5", "down")
        assert [row[0] for row in rows(app)[:3]] == ["17", "30", "0"]
        assert "24 more, nearer to what most do" in text(app)
        assert await asked(app, pilot, "i") == "step.seconds"
        assert await asked(app, pilot, "right", "i") == "data.wait"
        assert await asked(app, pilot, "left", "left", "i") == "loss.train"
        await press(app, pilot, *["down"] * 31)
        assert rows(app)[-1][0] == "31"
        strip = app.screen.query_one(Ranks)
        await pilot.click(strip, offset=(3, 2))
        assert strip.at == 26, "of the rows in sight the second"
        await press(app, pilot, *["down"] * 7)
        assert await asked(app, pilot, "i") == "step.seconds", "beyond the last rank comes the chart"
        assert [row[0] for row in rows(app)[:2]] != ["17", "30"], "scrolled to the chart"
