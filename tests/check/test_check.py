"""The script as it is: some steps, and no more."""

from nnwatch.check.plan import STEPS

from .trying import PLAIN, check


def test_the_script_is_stopped_after_some_steps_and_leaves_an_ordinary_session(home):
    found = check(home, PLAIN.replace("EPOCHS", "100000"), "--only", "scheduler")
    assert found.done.returncode == 0, found.done.stderr
    assert "trained to the end" not in found.printed
    history = found.history
    assert history.end is not None
    assert history.end.status == "finished"
    assert history.last_step == STEPS
    assert history.main is not None
    assert history.facts_of(history.main)["optimizers"][0]["class"] == "Adam"


def test_a_script_that_ends_earlier_is_not_stopped(home):
    found = check(home, PLAIN.replace("EPOCHS", "2"), "--only", "scheduler")
    assert found.done.returncode == 0, found.done.stderr
    assert "trained to the end" in found.printed
    assert found.history.last_step == 16
