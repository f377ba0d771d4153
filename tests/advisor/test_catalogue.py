"""The generated pages: complete, true to the rules, and as they are committed."""

from pathlib import Path

import pytest

from nnwatch.advisor import hints
from nnwatch.advisor.catalogue import LISTS, checks_page, notes, notes_page, rules_page
from nnwatch.advisor.check import all_checks
from nnwatch.advisor.page import listing, metric_page
from nnwatch.advisor.page import page as explained
from nnwatch.advisor.rule import all_rules
from nnwatch.advisor.undecided import UNDECIDED
from nnwatch.history import History
from nnwatch.metric import METRICS
from nnwatch.session import Reader

FOLDER = Path(__file__).parents[2] / "advisor"
CAUSES = """
lr-too-high lr-too-low lr-needs-decay lr-decay-too-early divergence loss-spike oscillation nan-input nan-loss-fn
nan-backward amp-overflow fp16-underflow low-precision-stall exploding-gradient vanishing-gradient clip-too-low
dead-relu saturated-activation bad-init overfitting underfitting undertrained plateau not-learning below-baseline
below-persistence input-ignored prediction-collapse class-imbalance background-collapse label-noise label-misaligned
label-out-of-range not-shuffled train-val-leak causal-leak val-in-train-mode eval-mode-wrong batchnorm-stats
batch-too-small unnormalised-input unnormalised-target preprocessing-mismatch augmentation-on-validation wrong-loss
wrong-loss-sign wrong-reduction accumulated-loss-not-divided softmax-twice wrong-output-activation shape-broadcast
padding-in-loss loss-scale-imbalance loss-clipped frozen-params stale-optimizer-params missing-zero-grad detached-graph
checkpoint-no-grad scheduler-misuse sampler-epoch-not-set weight-decay-too-high dropout-too-high lora-lr-too-low
adam-epsilon attention-logit-growth output-logit-drift posterior-collapse mode-collapse entropy-collapse kl-blowup
ema-stale resume-mismatch miscalibrated val-noise data-bottleneck gpu-idle step-outlier memory-leak cuda-out-of-memory
rank-divergence rank-straggler stalled crashed disk-full goal-reached
""".split()  # noqa: SIM905 - a list is no easier to read
"""The causes that nnwatch has a name for, whether a rule decides them or not."""


def test_every_cause_has_a_rule_or_says_why_not():
    ruled, told = {rule.id for rule in all_rules()}, {one.id for one in UNDECIDED}
    assert not ruled & told
    assert set(CAUSES) <= ruled | told


def test_every_statement_is_answered_by_something_there_is():
    rows, checks = notes(), {check.id for check in all_checks()}
    assert [row.number for row in rows] == list(range(1, 173))
    known = {rule.id for rule in all_rules()} | {one.id for one in UNDECIDED} | {"none", "engine"}
    known |= {f"check:{name}" for name in checks} | {f"fix:{name}" for name in LISTS}
    known |= {f"hint:{name}" for name in hints.IDS}
    for row in rows:
        assert row.answers, row
        assert set(row.answers) <= known, row
        assert row.remark or "none" not in row.answers, "what is not applicable says why"


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("rules/README.md", lambda: rules_page(all_rules())),
        ("checks/README.md", lambda: checks_page(all_checks())),
        ("NOTES.md", notes_page),
    ],
    ids=["rules", "checks", "notes"],
)
def test_the_committed_page_is_the_one_that_is_made(path, made):
    assert (FOLDER / path).read_text("utf-8") == made(), "run `make pages` and commit what it wrote"


def test_a_cause_without_a_rule_has_a_page_that_says_why():
    for one in UNDECIDED:
        text = explained(one.id)
        assert one.why in text
        assert one.where in text
    assert all(one.id in listing(all_rules()) for one in UNDECIDED)


def test_every_metric_that_a_screen_can_show_is_explained():
    reader = Reader(FOLDER.parent / "nnwatch" / "demo.nnw")
    history = History()
    for frame in reader.read():
        history.apply(frame)
    reader.close()
    assert history.main is not None
    shown = {*history.main, *history.system, *METRICS, "user.reward"}
    assert len(shown) > 100
    for name in shown:
        lines = metric_page(name).splitlines()
        assert lines[0].startswith(f"{name}: ")
        assert lines[2].endswith("."), name
        assert lines[-1] == "No rule reads it." or any(rule.id in lines[-1] for rule in all_rules())
