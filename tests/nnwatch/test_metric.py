import pytest

from nnwatch.metric import METRICS, describe


def test_every_metric_is_described():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.title
        assert metric.meaning.endswith(".")


def test_user_metrics_need_no_entry_and_other_names_are_refused():
    assert describe("user.bleu").title == "bleu"
    with pytest.raises(KeyError):
        describe("bleu")
