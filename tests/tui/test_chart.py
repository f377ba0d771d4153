"""Charts: axes, smoothing, zoom, mouse, what is repainted, what is saved, any metric as one."""

from xml.etree import ElementTree

import numpy as np
import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from nnwatch.frame import FieldSpec, Frame, Schema, Segment
from nnwatch.tui.screens.metrics import Metrics, MetricScreen
from nnwatch.tui.screens.page import Page
from nnwatch.tui.widgets.chart import Chart
from nnwatch.tui.widgets.findings import FindingTree

from .driving import lines, opened, press, settle, text
from .recording import START, Frames, block
from .sessions import SESSIONS


async def test_what_a_number_is_stands_one_key_away():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "i")
        assert isinstance(app.screen, Page)
        assert "Training loss: the loss function" in text(app)
        assert "Rules that read it" in text(app)
        await press(app, pilot, "escape", "2", "i")
        assert "update.ratio: update/weight" in text(app)


async def test_log_smoothing_band_and_zoom():
    async with opened("healthy") as (app, pilot):
        chart = app.screen.query_one("#loss", Chart)
        await press(app, pilot, "y")
        assert chart.text()[0].rstrip().endswith("log")
        await press(app, pilot, "s")
        assert "ema" not in chart.text()[0]
        await press(app, pilot, "s", "s")
        assert "ema 0.9" in chart.text()[0]
        before = chart.text()
        await press(app, pilot, "r")
        assert chart.text() != before
        await press(app, pilot, "plus", "plus")
        assert app.presenter.lens.span == pytest.approx(750, rel=0.01)
        assert "zoomed" in chart.text()[0]
        await press(app, pilot, "shift+left")
        assert app.presenter.lens.right is not None
        await press(app, pilot, "minus")
        assert app.presenter.lens.span == pytest.approx(1500, rel=0.01)
        await press(app, pilot, "0")
        assert app.presenter.lens.span is None


async def test_a_click_on_the_chart_is_a_moment():
    async with opened("healthy") as (app, pilot):
        await pilot.click("#loss", offset=(40, 5))
        await settle(app, pilot)
        assert 1_000 < app.moment.step < 2_000


async def test_screens_advice_and_moments_are_a_click_away():
    async with opened("faulty", size=(80, 24), mode="replay") as (app, pilot):
        await press(app, pilot, "end")
        await pilot.click("Status", offset=(lines(app)[0].index("5"), 0))
        await settle(app, pilot)
        assert app.current_mode == "system"
        await pilot.click("VerdictBar", offset=(10, 0))
        await settle(app, pilot)
        assert app.current_mode == "advisor"
        tree = app.screen.query_one(FindingTree)
        await pilot.click("FindingTree", offset=(5, 2))
        await settle(app, pilot)
        assert tree.chosen.finding.rule == "not-learning"
        await pilot._post_mouse_events([MouseScrollUp], "FindingTree", offset=(5, 2))
        assert tree.chosen.finding.rule == "lr-too-high"
        line = lines(app)[22]
        begin, end = line.index("━"), line.rindex("●")
        await pilot.click("Scrubber", offset=((begin + end) // 2, 0))
        await settle(app, pilot)
        assert app.moment.step == pytest.approx(600, abs=30), "half of the way"


async def test_the_mouse_zooms_where_it_is_and_pans_by_dragging():
    async with opened("healthy") as (app, pilot):
        chart, lens = app.screen.query_one("#loss", Chart), app.presenter.lens
        before = chart._last_step(20, chart.view)
        await pilot._post_mouse_events([MouseScrollUp], "#loss", offset=(28, 5))
        await settle(app, pilot)
        assert lens.span == pytest.approx(1500, rel=0.01)
        assert chart._last_step(20, chart.view) == pytest.approx(before, abs=150), "what is under the mouse stays there"
        right = lens.right
        await pilot.mouse_down("#loss", offset=(40, 5))
        await pilot.hover("#loss", offset=(30, 5))
        await pilot.mouse_up("#loss", offset=(30, 5))
        await settle(app, pilot)
        assert lens.right == pytest.approx(right + 10 / 72 * 1500, rel=0.01)
        assert app.moment.step is None, "to drag is not to click"
        await pilot._post_mouse_events([MouseScrollDown], "#loss", offset=(28, 5))
        await settle(app, pilot)
        assert lens.span is None


async def test_an_appended_step_repaints_a_small_part_of_the_chart():
    source = Frames(SESSIONS["healthy"]()[:-1])
    async with opened("healthy", size=(140, 40), source=source) as (app, pilot):
        chart, areas = app.screen.query_one("#loss", Chart), []
        chart.refresh = lambda *regions, **_: areas.append(sum(region.area for region in regions))
        source.waiting.append(block(1, [3001], [START + 62.1], [[0.11, 0.1, 64, 0.02, 0.001]]))
        while app.history.last_step < 3001:
            await pilot.pause(0.01)
        await settle(app, pilot)
        assert 0 < sum(areas) < chart.size.area / 8


async def test_any_metric_can_be_chosen_by_its_letters_and_is_shown_large_with_its_meaning():
    async with opened("overfitting", size=(100, 30)) as (app, pilot):
        await press(app, pilot, "m")
        assert isinstance(app.screen, Metrics)
        await press(app, pilot, *"val acc")
        assert "val accuracy" in text(app)
        assert "Share of the validation batch" in text(app)
        await press(app, pilot, "enter")
        assert isinstance(app.screen, MetricScreen)
        chart = app.screen.query_one(Chart)
        assert [curve.column for curve in chart.curves] == ["accuracy.val"]
        assert "accuracy.val: Share of the validation batch predicted right." in text(app)
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, MetricScreen)


async def test_a_metric_of_many_layers_is_shown_for_the_largest_and_letters_of_none_choose_nothing():
    async with opened("overfitting", size=(80, 24)) as (app, pilot):
        await press(app, pilot, "m", *"no such metric", "enter")
        assert isinstance(app.screen, Metrics)
        await press(app, pilot, "escape", "m", *"update/", "enter")
        chart = app.screen.query_one(Chart)
        assert len(chart.curves) == 6
        newest = [app.presenter.view().value(curve.column) for curve in chart.curves]
        assert newest == sorted(newest, reverse=True)
        await press(app, pilot, "m", *"learning", "enter")
        assert [curve.column for curve in app.screen.query_one(Chart).curves] == ["lr"]
        assert sum(isinstance(screen, MetricScreen) for screen in app.screen_stack) == 1


async def test_checksums_are_no_metrics_to_look_at():
    n = np.arange(1, 30)
    fields = [FieldSpec("target.order"), FieldSpec("loss.train")]
    frames: list[Frame] = [Segment(0, 0, 1, START), Schema(1, "step", fields), block(1, n, START + n, n * 1e6, 1.0 / n)]
    async with opened("", size=(45, 20), source=Frames(frames)) as (app, pilot):
        await press(app, pilot, "m")
        assert [metric.name for metric, _ in app.screen.metrics] == ["loss.train"]


async def test_curves_of_layers_are_told_apart_without_colours():
    async with opened("overfitting", size=(80, 24)) as (app, pilot):
        await press(app, pilot, "m", *"update/weight", "enter")
        chart = app.screen.query_one(Chart)
        named = [line for line in lines(app) if line[:2] in {f"{curve.letter} " for curve in chart.curves}]
        assert [line.split()[1] for line in named] == [curve.label for curve in chart.curves]
        drawn = "".join(row[8:] for row in chart.text()[1:])
        assert set("ABCDEF") <= set(drawn)


async def test_a_chart_and_a_screen_are_saved_as_svg_and_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with opened("faulty", size=(80, 24)) as (app, pilot):
        await press(app, pilot, "w", "w")
        await press(app, pilot, "W")
        names = sorted(path.name for path in tmp_path.iterdir())
        lead = "digits-1121-1104" if app.title != "nnwatch" else "nnwatch"
        assert names == sorted(
            f"{lead}-{what}.{end}"
            for what in ("loss-step-1200", "loss-step-1200-2", "overview-step-1200")
            for end in ("svg", "txt")
        )
        chart = (tmp_path / f"{lead}-loss-step-1200.txt").read_text("utf-8")
        assert chart.startswith("loss")
        assert any("\u2800" < char < "\u2900" for char in chart)
        whole = (tmp_path / f"{lead}-overview-step-1200.txt").read_text("utf-8")
        assert "learning rate too high" in whole
        assert len(whole.splitlines()) == 24
        picture = ElementTree.fromstring((tmp_path / f"{lead}-overview-step-1200.svg").read_text("utf-8"))
        assert picture.tag.endswith("svg")
        assert not any("http" in part for part in picture.itertext()), "nothing is fetched by who opens it"
        words = " ".join("".join(picture.itertext()).replace("\xa0", " ").split())
        assert "learning rate too high" in words


async def test_a_folder_that_takes_no_file_is_told_of(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    async with opened("faulty", size=(80, 24)) as (app, pilot):
        await press(app, pilot, "w")
        assert app.is_running
