import pytest

from nnwatch.frame import Commit, Console, End, Event, Segment
from nnwatch.history import History
from nnwatch.tui.state import last_words, state

from .recording import START, block
from .sessions import crashed, faulty, healthy, waiting


def told(frames):
    history = History()
    for frame in frames:
        history.apply(frame)
    return history


def ended(status, **more):
    return told([*waiting(), End(START + 9, status, **more)])


@pytest.mark.parametrize(
    ("history", "lost", "caught_up", "kind"),
    [
        (History(), None, False, "opening"),
        (told(waiting()), None, True, "waiting"),
        (told(faulty()), None, True, "running"),
        (told(faulty()), "the monitor closed the connection", True, "disconnected"),
        (told(healthy()), None, True, "finished"),
        (told(healthy()), "gone", True, "finished"),
        (told(crashed()), None, True, "failed"),
        (ended("killed", signal=9), None, True, "killed"),
        (ended("lost"), None, True, "lost"),
    ],
)
def test_every_state_says_what_happens_and_what_to_do(history, lost, caught_up, kind):
    now = state(history, lost, caught_up)
    assert now.kind == kind
    assert now.glyph
    assert now.word
    if kind not in ("running", "opening"):
        assert now.what
        assert now.next
        assert len(now.next) <= 76, "whole at 80 columns"


def silent(*later):
    event = Event("stalled", START + 156, 1_200, data={"seconds": 130.0, "usual": 0.02, "where": "sleeping"})
    return told([*faulty(), event, Commit(START + 170), *later])


def test_a_training_that_fell_silent_is_told_of_until_something_comes():
    now = state(silent(), None, True)
    assert now.kind == "stalled"
    assert now.what == "no step for 2:24: it is sleeping; one takes 20 ms otherwise"
    assert len(now.next) <= 76
    step = block(1, [1_201], [START + 171], [[2.3, 0.1, 64, 0.02, 0.001]])
    assert state(silent(step), None, True).kind == "running"
    assert state(silent(Console(START + 171, "still here\n")), None, True).kind == "running"
    assert state(silent(Segment(1, 0, 1, START + 171)), None, True).kind != "stalled"


def test_a_crash_is_told_by_the_first_line_of_what_was_raised():
    assert state(told(crashed()), None, True).what == "AssertionError: loss is nan"
    data = {
        "type": "RuntimeError",
        "message": "Error(s) in loading state_dict for Net:\n\tMissing key(s)\n\tUnexpected",
    }
    history = told([*crashed()[:-1], Event("exception", START, data=data), End(START + 9, "failed", 1)])
    assert state(history, None, True).what == "RuntimeError: Error(s) in loading state_dict for Net"


def test_a_check_that_is_over_is_no_finished_training():
    now = state(told([*healthy()[:-1], Event("trial", START + 60), End(START + 63, "finished", 0)]), None, True)
    assert (now.kind, now.word) == ("finished", "CHECKED")
    assert now.next.startswith("4 lists what it says")


def test_a_crash_without_an_exception_event_is_read_from_the_console():
    text = "epoch 1\nTraceback (most recent call last):\n  File 'a'\nKeyError: 'x'\n"
    history = told([*waiting(), Console(START + 2, text), End(START + 3, "failed", 1)])
    assert last_words(history, 2) == ["  File 'a'", "KeyError: 'x'"]
    assert state(history, None, True).what == "KeyError: 'x'"


def test_a_crash_that_left_no_words_tells_its_status():
    history = told([waiting()[0], End(START + 3, "failed", 7)])
    assert "status 7" in state(history, None, True).what


def test_an_exception_event_without_a_traceback_tells_its_message():
    event = Event("exception", START, data={"type": "ValueError", "message": "bad batch"})
    assert last_words(told([*waiting(), event]), 3) == ["bad batch"]


@pytest.mark.parametrize(
    ("number", "word"), [(9, "SIGKILL"), (15, "SIGTERM"), (None, "unknown signal"), (99, "signal 99")]
)
def test_a_signal_is_named(number, word):
    assert word in state(ended("killed", signal=number), None, True).word


def test_the_memory_is_suspected_after_sigkill_only():
    assert "memory" in state(ended("killed", signal=9), None, True).what
    assert "memory" not in state(ended("killed", signal=15), None, True).what
