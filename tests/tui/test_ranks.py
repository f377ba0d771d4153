"""Runs of several processes."""

from .driving import lines, opened, press, text
from .recording import Frames, ranked


async def test_every_rank_has_a_row_and_the_slow_one_is_marked():
    async with opened("faulty", size=(100, 40), source=Frames(ranked([0.1, 0.1, 0.25, 0.1]))) as (app, pilot):
        await press(app, pilot, "5")
        rows = [line.split() for line in lines(app) if line[:1].isdigit()]
        assert [row[0] for row in rows] == ["0", "1", "2", "3"]
        assert rows[2][1:6] == ["100", "2.02", "0.250", "!", "25%"]
        assert "!" not in rows[0]


async def test_of_many_ranks_the_odd_ones_are_shown():
    async with opened("faulty", size=(100, 40), source=Frames(ranked([0.1] * 30 + [0.3, 0.1]))) as (app, pilot):
        await press(app, pilot, "5")
        assert any(line.startswith("30 ") for line in lines(app))
        assert "24 more, as fast as most" in text(app)
