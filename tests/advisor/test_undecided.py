"""A cause has a rule, or it is said why not."""

from nnwatch.advisor.rule import all_rules
from nnwatch.advisor.undecided import UNDECIDED, undecided


def test_a_cause_has_a_rule_or_a_reason_never_both():
    ids = {entry.id for entry in UNDECIDED}
    assert len(ids) == len(UNDECIDED)
    assert not ids & {rule.id for rule in all_rules()}
    assert all(entry.why and entry.where for entry in UNDECIDED)


def test_it_is_found_by_its_id():
    entry = undecided("mode-collapse")
    assert entry is not None
    assert entry.kind == "undecidable"
    assert undecided("lr-too-high") is None
