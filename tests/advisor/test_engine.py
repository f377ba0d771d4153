from nnwatch.advisor.case import frames
from nnwatch.advisor.engine import Advisor, next_boundary
from nnwatch.advisor.verdict import verdict
from nnwatch.history import History


def judged(case):
    history, advisor = History(), Advisor()
    for frame in frames(case):
        history.apply(frame)
    for frame in advisor.judge(history):
        history.apply(frame)
    return history


def test_every_step_is_judged_at_first_and_a_million_take_some_hundreds():
    boundaries = [next_boundary(0)]
    while boundaries[-1] < 1_000_000:
        boundaries.append(next_boundary(boundaries[-1]))
    assert boundaries[:20] == list(range(1, 21))
    assert 300 < len(boundaries) < 1000


def test_a_boundary_waits_for_a_record_of_a_later_step():
    history = judged({"loss.train": "2.3x5"})
    assert max(j.step for j in history.judgements) < 5


def test_verdict_of_a_short_run_is_that_it_is_too_early():
    assert verdict(judged({"loss.train": "2.3x12"})).line == "too early to tell (step 12)"


def test_verdict_never_says_healthy():
    view = verdict(judged({"loss.train": "2.3-0.02x60"}))
    assert view.state == "clear"
    assert view.line.startswith("nothing wrong found; ")


def test_verdict_at_an_earlier_step_is_the_one_of_then():
    history = judged({"lr": "0.3x100", "loss.train": "2.3x3 2.4~0.05x97", "update.ratio": "4e-1x3 1e-4x97"})
    assert verdict(history, 40).state == "clear"
    assert verdict(history).state == "error"
    assert verdict(history).line.startswith("ERROR learning rate too high: lr 0.3 → ")
