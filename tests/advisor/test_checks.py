"""The checks before training: every one on little sessions that fail it, pass it, and cannot answer it."""

import sys
from pathlib import Path
from typing import Any

import pytest

from nnwatch.advisor import case, checks
from nnwatch.advisor.check import RECIPE, Check, Verdict, all_checks
from nnwatch.advisor.examine import FIRST_ID, Examiner, examine, is_check
from nnwatch.advisor.page import SECTIONS, check_page
from nnwatch.advisor.trials import RANK
from nnwatch.frame import End, Event, Frame
from nnwatch.history import History

from .sessions import sessions as of_rule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(checks.__path__[0])
STATES = {"pass", "info", "warn", "error", "not possible"}


def sessions(check: Check) -> dict[str, dict[str, Any]]:
    return tomllib.loads((FOLDER / f"{check.id.replace('-', '_')}.toml").read_text("utf-8"))


CASES = [pytest.param(c, s, id=f"{c.id}:{name}") for c in all_checks() for name, s in sessions(c).items()]


def frames(session: dict[str, Any]) -> list[Frame]:
    """``as`` names the session of a rule that it goes on from, ``trials`` what the experiments told."""
    stem, _, name = session.get("as", "").partition("/")
    told = {**(of_rule(stem)[name] if stem else {}), **session}
    made = case.frames(told)
    for trial, data in told.get("trials", {}).items():
        made.append(Event("trial", 1e3, 1, data={"trial": trial, "state": "done", **data}))
    return made


def history(session: dict[str, Any]) -> History:
    made = History()
    for frame in frames(session):
        made.apply(frame)
    return made


def say(check: Check, session: dict[str, Any]) -> Verdict | None:
    examined = examine(history(session), (check,))
    return examined.answers[0].verdict if examined.answers else None


@pytest.mark.parametrize(("check", "session"), CASES)
def test_case(check, session):
    said = say(check, session)
    assert (said.state if said else "beside") == session["says"], said
    if said is None:
        return
    assert "check itself failed" not in said.what
    if said.state in ("warn", "error"):
        assert "→" in said.change
    if said.change:
        assert "→" in said.change
    if session["says"] == "not possible" and "line" in str(session.get("trials")):
        line = next(iter(session["trials"].values()))["line"]
        assert line in said.what, "the line that would make it possible is told"


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.id)
class TestCheck:
    def test_says_why_how_when_not_and_what_to_do(self, check):
        assert tuple(line for line in check.page.splitlines() if line in SECTIONS) == SECTIONS
        assert check.source
        assert check.title in check_page(check.id)

    def test_has_a_session_that_fails_it_and_one_that_passes(self, check):
        says = {session["says"] for session in sessions(check).values()}
        assert says <= STATES | {"beside"}
        assert "pass" in says
        assert says & {"info", "warn", "error"} or check.id in REPORTS

    def test_follows_checks_that_there_are(self, check):
        assert set(check.follows) < {other.id for other in all_checks()}


REPORTS = {"data-report", "baselines", "show-predictions"}
"""They show something and judge nothing."""


def test_the_recipe_has_every_file_once():
    ids = [name for names in RECIPE.values() for name in names]
    assert len(ids) == len(set(ids))
    assert {name.replace("-", "_") for name in ids} == {file.stem for file in FOLDER.glob("*.py")} - {"__init__"}
    assert [check.id for check in all_checks()] == ids


BROKEN = {
    "as": "unnormalised_input/raw-pixels",
    "trials": {"data": {"sets": {"train": {"rows": 10, "read": 10, "shape": [64]}}}},
}


class TestExamination:
    def test_a_cause_is_what_to_change_first(self):
        examined = examine(history(BROKEN))
        by_id = {answer.check.id: answer for answer in examined.answers}
        assert by_id["initial-loss"].verdict.state == "error"
        assert by_id["initial-loss"].because == "input-normalisation"
        assert examined.first is not None
        assert examined.first.check.id == "input-normalisation"
        assert "(x - 33) / 78" in examined.first.verdict.change
        assert examined.worst == "error"

    def test_the_order_is_that_of_the_recipe(self):
        examined = examine(history(BROKEN))
        order = [check.id for check in all_checks()]
        said = [order.index(answer.check.id) for answer in examined.answers]
        assert said == sorted(said)
        assert set(order) == {a.check.id for a in examined.answers} | set(examined.beside)

    def test_the_end_of_the_check_is_none_of_the_training(self):
        calm = {"facts": {"planned_steps": 5000}, "lr": "1e-3x100", "loss.train": "2.3~0.01x100"}
        seen = history({**calm, "trials": {"data": {}}})
        before = [a.verdict for a in examine(seen).answers]
        seen.apply(End(1e6, "finished", 0))
        assert [a.verdict for a in examine(seen).answers] == before

    def test_the_session_keeps_it_as_findings_and_a_judgement(self):
        seen = history(BROKEN)
        examiner = Examiner()
        assert examiner.judge(seen) == []
        seen.apply(End(1e6, "finished", 0))
        for frame in examiner.judge(seen):
            seen.apply(frame)
        assert examiner.judge(seen) == [], "once"
        assert is_check(seen)
        assert all(number >= FIRST_ID for number in seen.findings)
        primary = [f for f in seen.findings.values() if f.primary]
        assert [f.rule for f in primary] == ["input-normalisation"]
        loss = next(f for f in seen.findings.values() if f.rule == "initial-loss")
        assert loss.explained_by == primary[0].id
        assert seen.judgement is not None
        assert "data-report" in seen.judgement.judged
        assert "overfit-batch" in seen.judgement.abstained

    def test_examined_again_it_says_the_same(self):
        seen = history(BROKEN)
        seen.apply(End(1e6, "finished", 0))
        first = examine(seen)
        for frame in Examiner().judge(seen):
            seen.apply(frame)
        assert examine(seen) == first

    def test_a_script_that_trains_nothing(self):
        examined = examine(History())
        assert {a.verdict.state for a in examined.answers} == {"not possible"}
        assert examined.first is None

    def test_a_broken_check_silences_no_other(self):
        def judge(at, limit):
            raise ZeroDivisionError("by hand")

        broken = Check("width", "broken", "none", judge)
        report = next(check for check in all_checks() if check.id == "data-report")
        said = examine(history(BROKEN), (broken, report)).answers
        assert said[0].verdict == Verdict("not possible", "the check itself failed: ZeroDivisionError: by hand")
        assert said[1].verdict.state == "pass"

    def test_states_are_ranked(self):
        assert set(RANK) == STATES
