"""What a check measured goes along with later runs of the same script."""

from nnwatch.screen import summary
from nnwatch.tui.curves import baselines

from .trying import PLAIN, check


def test_a_later_run_knows_the_baselines_of_the_newest_check_and_another_script_does_not(home):
    script = PLAIN.replace("EPOCHS", "2")
    found = check(home, script, "--only", "data,baselines")
    told = found.trials["baselines"]
    assert told["state"] == "done", told["why"]
    assert told["linear"]["accuracy"] > 0.9
    assert found.card.check
    home.script("other.py", script)
    for name in ("train.py", "other.py"):
        done = home.nnwatch("run", "--headless", name)
        assert done.returncode == 0, done.stderr
    known = {}
    for card in home.cards():
        if not card.check:
            about, _ = summary(card)
            assert about.main is not None
            known[card.command[-1]] = about.history.facts_of(about.main)
    assert known["train.py"]["baselines"]["linear"] == told["linear"]
    assert known["train.py"]["baselines"]["session"] == found.card.session
    assert "baselines" not in known["other.py"]


FACTS = {
    "loss": {"name": "cross_entropy"},
    "baselines": {"majority": {"loss": 2.3, "accuracy": 0.1}, "linear": {"loss": 0.4, "accuracy": 0.9}},
}


def test_charts_of_losses_and_accuracies_get_lines():
    assert baselines(FACTS, "loss.train") == [(2.3, "guess"), (0.4, "linear model")]
    assert baselines(FACTS, "accuracy.val") == [(0.1, "guess"), (0.9, "linear model")]
    assert baselines(FACTS, "lr") == []
    assert baselines({}, "loss.train") == []
    assert baselines(FACTS | {"loss": {"name": "l1_loss"}}, "loss.train") == [], "measured in another unit"
