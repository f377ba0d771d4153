"""What every rule must bring along."""

import pytest

from nnwatch.advisor.case import run
from nnwatch.advisor.graph import PRIORITY
from nnwatch.advisor.page import SECTIONS, page
from nnwatch.advisor.rule import all_rules
from nnwatch.metric import METRICS

from .sessions import FOLDER, sessions


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
class TestRule:
    def test_is_the_file_of_its_name(self, rule):
        assert (FOLDER / f"{rule.id.replace('-', '_')}.py").is_file()

    def test_reads_declared_metrics_only(self, rule):
        assert set(rule.reads) <= set(METRICS)

    def test_says_why_how_when_not_and_what_to_do(self, rule):
        headings = [line for line in rule.page.splitlines() if line in SECTIONS]
        assert tuple(headings) == SECTIONS
        assert rule.source

    def test_page_shows_thresholds_remedies_and_source(self, rule):
        text = page(rule.id)
        assert rule.source in text
        assert all(name in text for name in (*rule.thresholds, *rule.remedies))

    def test_has_a_firing_and_a_quiet_session(self, rule):
        cases = sessions(rule.id.replace("-", "_")).values()
        assert any(rule.id in case["finds"] for case in cases)
        assert any(rule.id not in case["finds"] for case in cases)

    def test_findings_carry_numbers_and_a_way_out(self, rule):
        for case in sessions(rule.id.replace("-", "_")).values():
            for finding in run(case).history.finding_log:
                if finding.rule != rule.id:
                    continue
                assert finding.evidence or finding.last_step == 0, "before the first step nothing is measured"
                assert finding.why
                assert finding.otherwise
                assert finding.remedies
                assert {remedy.title for remedy in finding.remedies} <= set(rule.remedies)
                assert all("→" in remedy.change and remedy.expect for remedy in finding.remedies)

    def test_has_a_place_among_causes(self, rule):
        assert rule.id in PRIORITY


def test_every_session_belongs_to_a_rule():
    assert {file.stem for file in FOLDER.glob("*.toml")} == {rule.id.replace("-", "_") for rule in all_rules()}


def test_an_unknown_rule_is_named_with_the_nearest_one():
    with pytest.raises(KeyError, match=r"no rule is called 'lr-too-loud'; did you mean lr-too-"):
        page("lr-too-loud")
