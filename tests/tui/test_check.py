"""The session of a check on the screen."""

from nnwatch.advisor.examine import Examiner
from nnwatch.frame import End, Run
from nnwatch.history import History
from nnwatch.tui.screens.ask import Ask
from nnwatch.tui.screens.page import Page
from nnwatch.tui.widgets.findings import FindingTree

from ..advisor.test_checks import BROKEN, frames
from .driving import opened, press, text
from .recording import Frames


def session():
    """All frames of a check, its verdicts among them."""
    run = Run("check-train", "1", "here", ["python", "train.py"], "python", "/", 0.0)
    made, history = [run, *frames(BROKEN), End(1e3, "finished", 0)], History()
    for frame in made:
        history.apply(frame)
    return [*made[:-1], *Examiner().judge(history), made[-1]]


async def test_the_advisor_lists_what_a_check_said():
    async with opened("", size=(140, 50), mode="replay", source=Frames(session())) as (app, pilot):
        await press(app, pilot, "4")
        tree = app.screen.query_one(FindingTree)
        assert tree.chosen.finding.rule == "input-normalisation", "what to change first is the first line"
        assert "(x - 33) / 78" in text(app)
        await press(app, pilot, "enter")
        assert isinstance(app.screen, Page)
        assert "input-normalisation" in text(app)
        await press(app, pilot, "escape", "j")
        assert tree.chosen.finding.rule == "initial-loss", "its consequence is folded under it"
        await press(app, pilot, "t")
        assert not isinstance(app.screen, Ask), "a check is judged once: no threshold is asked for"
