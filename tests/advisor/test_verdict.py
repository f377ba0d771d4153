"""The one line, and the tree under it."""

from nnwatch.advisor.case import run
from nnwatch.advisor.rule import all_rules
from nnwatch.advisor.verdict import verdict
from nnwatch.frame import End
from nnwatch.history import History

from .test_engine import KILLED_BY_A_HIGH_RATE


def test_nothing_yet():
    history = History()
    assert verdict(history).line == "too early to tell (step 0)"
    history.apply(End(1.0, "finished", 0))
    assert verdict(history).line == "nothing to judge: no backward pass was seen"


def test_a_short_run_is_too_early_to_tell():
    assert verdict(run({"loss.train": "2.3x12"}).history).line == "too early to tell (step 12)"


def test_silence_is_counted_and_never_called_healthy():
    view = verdict(run({"loss.train": "2.3-0.02x60"}).history)
    assert view.state == "clear"
    assert view.finding is None
    assert view.line.startswith("nothing wrong found; ")
    assert view.line.endswith(f" of {len(all_rules())} rules could judge")


def test_the_primary_is_told_with_its_remedy_and_its_consequences_under_it():
    view = verdict(run(KILLED_BY_A_HIGH_RATE).history)
    assert view.state == "error"
    assert view.line.startswith("ERROR learning rate too high: lr 1 → ")
    ((root, children),) = view.findings
    assert root is view.finding
    assert root.rule == "lr-too-high"
    assert {child.rule for child in children} == {"dead-relu", "not-learning"}


def test_the_verdict_at_an_earlier_step_is_the_one_of_then():
    history = run(KILLED_BY_A_HIGH_RATE).history
    assert verdict(history, 12).line == "WATCH dead ReLU units: " + verdict(history, 12).line.split(": ", 1)[1]
    assert verdict(history, 3).state == "early"
    now = verdict(history, 400).finding
    assert now is not None
    assert now.rule == "lr-too-high"


def test_a_resolved_finding_is_not_shown():
    case = {"loss.train": "2.31 2.4x80 1.5*0.98x60", "lr": "0.3x141", "update.ratio": "0.2x141"}
    history = run(case).history
    assert verdict(history, 70).state == "error"
    assert verdict(history).state == "clear"


def test_a_stop_by_hand_is_no_fault():
    history = run({"loss.train": "2.3-0.02x30", "end": {"status": "killed", "signal": 2}}).history
    view = verdict(history)
    assert view.state == "clear"
    assert view.finding is not None
    assert view.finding.severity == "info"
