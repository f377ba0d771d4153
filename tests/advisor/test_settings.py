"""Thresholds, rules that are off, own rules, targets: what is understood, and what is said of the rest."""

import pytest

from nnwatch.advisor.case import frames
from nnwatch.advisor.engine import Advisor
from nnwatch.advisor.rule import all_rules
from nnwatch.advisor.settings import Settings, SettingsError
from nnwatch.history import History

LOW = {
    "facts": {"planned_steps": 300},
    "lr": "1e-5x120",
    "loss.train": "2.3-0.0001x120",
    "update.ratio": "1e-5x120",
}


def found(settings: Settings) -> set[str]:
    history = History()
    for frame in frames(LOW):
        history.apply(frame)
    advisor = Advisor(settings.apply(all_rules()), settings.targets)
    for frame in advisor.judge(history):
        history.apply(frame)
    return {finding.rule for finding in history.finding_log}


def test_a_rule_that_is_off_says_nothing():
    assert "lr-too-low" in found(Settings())
    assert "lr-too-low" not in found(Settings.of({"rules": {"disable": ["lr-too-low"]}}))


def test_a_threshold_of_the_user_is_the_one_that_is_judged_by():
    rule = next(rule for rule in all_rules() if rule.id == "lr-too-low")
    name, value = next(iter(rule.thresholds.items()))
    changed = Settings.of({"thresholds": {"lr-too-low": {name: 7}}}).apply(all_rules())
    mine = next(rule for rule in changed if rule.id == "lr-too-low")
    assert mine.thresholds[name] == 7.0 != value
    assert {k: v for k, v in mine.thresholds.items() if k != name} == {
        k: v for k, v in rule.thresholds.items() if k != name
    }


def test_targets_reach_the_rules():
    settings = Settings.of({"targets": {"accuracy.val": 0.98, "user.bleu": 30}})
    assert settings.targets == {"accuracy.val": 0.98, "user.bleu": 30.0}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"threshold": {}}, "no setting is called threshold (did you mean 'thresholds'?)"),
        ({"rules": {"disabled": []}}, "no setting is called rules.disabled (did you mean 'disable'?)"),
        ({"rules": []}, "rules: has to be a table, [rules]"),
        ({"rules": {"disable": "lr-too-low"}}, 'rules.disable: has to be a list of words, such as ["class-imbalance"]'),
        ({"thresholds": {"lr-too-low": 3}}, "thresholds.lr-too-low: has to be a table"),
        ({"thresholds": {"lr-too-low": {"x": "3"}}}, "thresholds.lr-too-low.x: has to be a number, not '3'"),
        ({"thresholds": {"lr-too-low": {"x": True}}}, "has to be a number, not True"),
        ({"targets": {"acuracy.val": 1}}, "no metric is called 'acuracy.val' (did you mean 'accuracy.val'?)"),
        ({"thresholds": {"lr-too-lo": {}}}, "thresholds: no rule is called 'lr-too-lo' (did you mean 'lr-too-low'?)"),
        ({"rules": {"disable": ["nan"]}}, "rules.disable: no rule is called 'nan'"),
        ({"thresholds": {"lr-too-high": {"peek": 1}}}, "thresholds.lr-too-high: no threshold is called 'peek'; it has"),
    ],
)
def test_what_is_not_understood_is_one_line(table, said):
    with pytest.raises(SettingsError) as error:
        Settings.of(table).apply(all_rules())
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_rule_of_ones_own_that_fails_silences_no_other():
    import dataclasses

    def broken(at, limit):
        raise KeyError("nothing")

    base = next(rule for rule in all_rules() if rule.id == "crashed")
    mine = dataclasses.replace(base, id="mine", check=broken)
    history = History()
    for frame in frames(LOW):
        history.apply(frame)
    for frame in Advisor((*all_rules(), mine)).judge(history):
        history.apply(frame)
    assert "lr-too-low" in {finding.rule for finding in history.finding_log}
    assert history.judgements[-1].abstained["mine"] == "the rule itself failed: KeyError: 'nothing'"
