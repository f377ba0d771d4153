"""The advisor's screen: findings, their evidence, other thresholds."""

from msgspec import structs
from textual.widgets import Input, Static

from nnwatch.advisor.case import frames as case_frames
from nnwatch.advisor.engine import Advisor
from nnwatch.frame import Event, Finding
from nnwatch.tui.screens.page import Page
from nnwatch.tui.widgets.chart import Chart
from nnwatch.tui.widgets.findings import FindingTree

from .driving import lines, opened, press, text, told
from .recording import START, Frames
from .sessions import SESSIONS

TOO_HIGH = {
    "facts": {"planned_steps": 120, "classes": 10},
    "lr": "1x100",
    "loss.train": "2.31~0.02x100",
    "update.ratio": {"fc1.weight 64x64": "0.4x2 1e-4x98", "fc2.weight 10x64": "0.1x2 1e-4x98"},
}
"""Nothing but a large first update and a loss that stays."""


async def test_the_advisor_shows_the_chosen_finding_and_copies_its_remedy():
    async with opened("faulty", size=(100, 40)) as (app, pilot):
        await press(app, pilot, "4", "c")
        assert app.clipboard == "SGD(lr=0.1 → 0.0035) at train.py:41"
        await press(app, pilot, "j")
        assert "91 % of the units of blocks.5.relu never fire" in text(app)
        await press(app, pilot, "j", "j")
        assert "needs 3 evaluations, 1 seen" in text(app)
        app.copy_to_clipboard("before")
        await press(app, pilot, "c")
        assert app.clipboard == "before"
        await press(app, pilot, "k", "k", "k")
        assert app.screen.query_one(FindingTree).chosen.finding.rule == "lr-too-high"


async def test_the_evidence_is_on_its_own_curve_with_its_window_and_reference():
    async with opened("faulty", size=(140, 40)) as (app, pilot):
        await press(app, pilot, "4")
        chart = app.screen.query_one(Chart)
        assert chart.text()[0].startswith("update/weight of head.weight")
        assert any("reference 0.05" in line for line in chart.text())
        await press(app, pilot, "e")
        assert chart.text()[0].startswith("loss")
        assert chart.window == (1, 64)
        assert "━━━" in chart.text()[-1]
        await press(app, pilot, "j")
        assert chart.text()[0].startswith("dead of blocks.5.relu")


async def test_the_evidence_takes_the_place_of_the_text_where_it_is_narrow():
    async with opened("faulty") as (app, pilot):
        await press(app, pilot, "4", "e")
        assert "update/weight of head.weight" in text(app)
        assert "What" not in text(app)
        await press(app, pilot, "e", "e")
        assert "What" in text(app)


async def test_the_history_of_a_finding_is_told():
    frames = SESSIONS["faulty"]()
    first = next(frame for frame in frames if isinstance(frame, Finding))
    for status, severity, step in (("open", "error", 200), ("resolved", "error", 400), ("open", "watch", 900)):
        frames.append(structs.replace(first, status=status, severity=severity, last_step=step))
    async with opened("faulty", size=(100, 60), source=Frames(frames)) as (app, pilot):
        await press(app, pilot, "4")
        if app.screen.query_one(FindingTree).chosen.finding.id != first.id:
            await press(app, pilot, "j", "j")
        shown = text(app)
        for line in ("step 64: seen as error", "step 400: resolved", "step 900: back as watch"):
            assert line in shown


async def test_the_autopsy_of_numbers_that_are_not_finite_stands_in_the_finding():
    seen = {
        "origin": "backward",
        "op": "SqrtBackward0",
        "layer": "blocks.2.norm",
        "detail": "3 infinite of 64 values",
        "bad_samples": [13],
        "samples": [317],
        "last_finite_step": 409,
    }
    events = [
        Event("nonfinite", START + 10, 410, data=seen),
        Event("autopsy", START + 10, 410, data={"folder": "seg.autopsy/step-410", "files": []}),
    ]
    crashed = SESSIONS["crashed"]()
    async with opened("", size=(80, 24), source=Frames([*crashed[:-1], *events, crashed[-1]])) as (app, pilot):
        await press(app, pilot, "4")
        for words in (
            "AUTOPSY of step 410: it began in the backward pass, SqrtBackward0 of",
            "3 infinite of 64 values",
            "13 of the batch, 317 of the data set",
            "seg.autopsy/step-410",
        ):
            assert words in app.screen.query_one("#finding", Static).content.plain
        assert "AUTOPSY of step 410" in text(app), "in sight without a key more"


async def test_a_rule_page_is_one_key_away():
    async with opened("faulty", size=(100, 40)) as (app, pilot):
        await press(app, pilot, "4", "enter")
        assert isinstance(app.screen, Page)
        assert "Why it matters" in text(app)
        await press(app, pilot, "escape")
        assert not isinstance(app.screen, Page)


async def test_a_run_is_judged_again_at_another_threshold_and_shown_as_it_was_judged_after_esc(tmp_path):
    frames = [*case_frames(TOO_HIGH)]
    async with opened("faulty", size=(140, 40), source=Frames(frames)) as (app, pilot):
        for frame in Advisor().judge(app.history):
            app.history.apply(frame)
        await press(app, pilot, "4")
        assert "learning rate too high" in text(app)
        await press(app, pilot, "t")
        app.screen.query_one(Input).value = "peak = 0.99"
        await press(app, pilot, "enter")
        await told(app, pilot, "judged with lr-too-high peak = 0.99")
        assert "lr-too-high" not in {finding.rule for finding in app.presenter.second[1].finding_log}
        assert "learning rate too high" not in lines(app)[1]
        assert "lr-too-high" in {finding.rule for finding in app.history.finding_log}, "the run itself is as it was"
        await press(app, pilot, "escape")
        assert "learning rate too high" in lines(app)[1]
        await press(app, pilot, "t")
        app.screen.query_one(Input).value = "peek = 3"
        await press(app, pilot, "enter")
        assert any("lr-too-high has peak = 0.05" in notice.message for notice in app._notifications)
