"""The table of layers and the charts of one."""

from nnwatch.tui.screens.layers import LayerScreen
from nnwatch.tui.widgets.heat_table import HeatTable

from .driving import opened, press, settle, text


async def test_repeated_blocks_are_one_row_until_opened():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "2")
        table = app.screen.query_one(HeatTable)
        assert len(table._rows) == 7  # stem, head, and four parts of the six blocks
        table.selected = "blocks.*.relu ×6"
        await press(app, pilot, "enter")
        relus = [line.split()[0] for line in table.text() if "relu" in line]
        assert relus[0] == "blocks.*.relu"
        assert sorted(relus[1:]) == [f"blocks.{i}.relu" for i in range(6)]
        await press(app, pilot, "enter")
        assert len(table._rows) == 7
        await press(app, pilot, "f")
        assert len(table._rows) == 27


async def test_a_layer_is_looked_into_and_left():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "2")
        app.screen.query_one(HeatTable).selected = "head.weight"
        await press(app, pilot, "enter")
        assert isinstance(app.screen, LayerScreen)
        shown = text(app)
        assert "head.weight  Conv2d" in shown
        for word in ("update/weight", "gradient", "weight"):
            assert word in shown
        await press(app, pilot, "left")
        assert app.moment.step is not None
        await press(app, pilot, "escape")
        assert app.screen.query(HeatTable)


async def test_the_layer_table_sorts_filters_and_moves():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "2")
        table = app.screen.query_one(HeatTable)
        first = table.selected
        await press(app, pilot, "j")
        assert table.selected != first
        await press(app, pilot, "k", "G")
        last = table.selected
        await press(app, pilot, "g")
        assert table.selected not in (None, last)
        await press(app, pilot, "f", "o")
        assert table.order == "model order"
        assert table.text()[1].startswith("stem.weight")
        await press(app, pilot, "l")
        assert "▼update" in table.text()[0]
        await press(app, pilot, "h", "h")
        assert table.order == "worst first"
        await pilot.click(table, offset=(table.text()[0].index("gradient"), 0))
        await settle(app, pilot)
        assert "▼gradient" in table.text()[0]
        await press(app, pilot, "slash", *"relu", "enter")
        assert "6 of 27 layers" in table.text()[0]
        assert "conv" not in "".join(table.text())
        await press(app, pilot, "slash", *"zz", "enter")
        assert "no layer has" in "".join(table.text())
        await press(app, pilot, "escape")
        assert "27 layers" in table.text()[0]


async def test_far_values_carry_a_mark_besides_their_colour():
    async with opened("faulty", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "2")
        assert any("!" in line for line in app.screen.query_one(HeatTable).text())
