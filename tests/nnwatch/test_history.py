"""History: columns grow, prefixes are moments, evaluations are weighted means."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch.frame import Block, Event, FieldSpec, Finding, Judgement, Labels, Schema, Segment
from nnwatch.history import History


def numbers(schema, steps, columns, segment=0, rank=0):
    steps = np.asarray(steps, np.int64)
    values = np.asarray(columns, np.float32)
    return Block(schema, segment, rank, len(steps), steps.tobytes(), steps.astype(float).tobytes(), values.tobytes())


def start(*fields, name="step"):
    history = History()
    history.apply(Segment(0, 0, 1, 0.0))
    history.apply(Schema(1, name, [FieldSpec(*field) for field in fields]))
    return history


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=12))
def test_columns_are_the_same_however_the_records_were_flushed(sizes):
    total = sum(sizes)
    loss = np.linspace(3, 1, total).astype(np.float32)
    history = start(("loss.train",), ("lr", 2))
    at = 0
    for size in sizes:
        part = loss[at : at + size]
        history.apply(numbers(1, range(at + 1, at + size + 1), [part, part * 2, part * 3]))
        at += size
    track = history.main
    assert track is not None
    assert np.array_equal(track["loss.train"].scalar, loss)
    assert np.array_equal(track["lr"].values, np.stack([loss * 2, loss * 3], 1))
    assert track.last_step == total == history.last_step
    assert track["lr"].until(total // 2) == total // 2


def test_a_wider_record_widens_the_series_and_leaves_gaps_not_zeros():
    history = start(("loss.val.each", 2))
    history.apply(numbers(1, [1], [[1.0], [2.0]]))
    history.apply(Schema(2, "val", [FieldSpec("loss.val.each", 3)]))
    history.apply(numbers(2, [2], [[3.0], [4.0], [5.0]]))
    history.apply(numbers(1, [3], [[6.0], [7.0]]))
    values = history.main["loss.val.each"].values
    assert np.array_equal(values, np.array([[1, 2, np.nan], [3, 4, 5], [6, 7, np.nan]]), equal_nan=True)


def test_layers_have_names():
    history = start(("lr",))
    history.apply(Labels(4, ["fc1.weight", "fc2.weight"]))
    history.apply(Schema(2, "sample", [FieldSpec("update.ratio", 2, 4)]))
    history.apply(numbers(2, [1], [[1e-3], [2e-3]]))
    assert history.main["update.ratio"].names() == ["fc1.weight", "fc2.weight"]


def test_an_evaluation_is_the_size_weighted_mean_of_its_batches():
    history = start(("loss.val",), ("val.size",), ("accuracy.val",), name="val")
    history.apply(numbers(1, [10, 10, 20], [[1.0, 4.0, 2.0], [30, 10, 40], [0.5, 0.9, 0.7]]))
    evaluations = history.main.evaluations()
    assert evaluations.steps.tolist() == [10, 20]
    assert np.allclose(evaluations.loss, [1.75, 2.0])
    assert np.allclose(evaluations.accuracy, [0.6, 0.7])
    assert evaluations.first.tolist() == [0, 2, 3]
    assert history.main.evaluations(until=19).steps.tolist() == [10]
    assert len(history.main.evaluations(until=9).steps) == 0


def test_facts_merge_findings_replace_and_the_log_keeps_all():
    history = start(("lr",))
    history.apply(Event("facts", 0.0, data={"classes": 10, "amp": False}))
    history.apply(Event("facts", 1.0, data={"amp": True}))
    assert history.facts_of(history.main) == {"classes": 10, "amp": True}
    for status in ("open", "resolved"):
        history.apply(
            Finding(1, "dead-relu", "Dead units", "statistical", "warn", status, 5, 9, 0.0, 1.0, "what", "why")
        )
    assert history.findings[1].status == "resolved"
    assert [finding.status for finding in history.finding_log] == ["open", "resolved"]


def test_a_judgement_says_what_changed_and_the_history_knows_the_rest():
    history = History()
    history.apply(Judgement(10, 0, 0, ["a"], {"b": "too early", "c": "no validation"}))
    history.apply(Judgement(10, 1, 0, [], {"a": "another segment"}))
    history.apply(Judgement(20, 0, 0, ["b"], {"a": "lost its signal"}))
    history.apply(Judgement(30, 0, 0, [], {"c": "one validation"}))
    assert [(j.step, j.segment, j.judged, j.abstained) for j in history.judgements] == [
        (10, 0, ["a"], {"b": "too early", "c": "no validation"}),
        (10, 1, [], {"a": "another segment"}),
        (20, 0, ["b"], {"c": "no validation", "a": "lost its signal"}),
        (30, 0, ["b"], {"c": "one validation", "a": "lost its signal"}),
    ]
    assert history.judgement == history.judgements[-1]


def test_the_newest_segment_of_the_lowest_rank_is_the_main_one():
    history = History()
    for segment, rank in ((0, 0), (0, 1), (1, 1), (1, 0)):
        history.apply(Segment(segment, rank, 1, 0.0))
    assert history.main is not None
    assert (history.main.segment.segment, history.main.segment.rank) == (1, 0)


def test_numbers_that_do_not_fit_their_schema_are_refused():
    history = start(("loss.train",))
    history.apply(numbers(1, [1], [[1.0], [2.0]]))
    history.apply(numbers(9, [1], [[1.0]]))
    assert dict(history.main) == {}


@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from("abcd"), min_size=1), st.integers(0, 5)),
        min_size=1,
        max_size=12,
    )
)
def test_series_that_share_their_steps_hold_what_they_would_alone(blocks):
    """Whatever metrics come together, and then apart: each series has its own records and no others."""
    history, step = History(), 0
    history.apply(Segment(0, 0, 1, 0.0))
    expected: dict[str, list[tuple[int, float]]] = {name: [] for name in "abcd"}
    for number, (names, count) in enumerate(blocks, 1):
        fields = sorted(names)
        history.apply(Schema(number, "step", [FieldSpec(f"user.{name}") for name in fields]))
        steps = np.arange(step + 1, step + 1 + count)
        step += count
        values = np.array([[100 * i + s for s in steps] for i in range(len(fields))], np.float32)
        history.apply(
            Block(number, 0, 0, count, steps.tobytes(), (steps / 2).astype(float).tobytes(), values.tobytes())
        )
        for i, name in enumerate(fields):
            expected[name] += [(int(s), 100.0 * i + s) for s in steps]
    track = history.tracks[0, 0]
    for name, rows in expected.items():
        series = track.get(f"user.{name}")
        assert (series is None) == all(name not in names for names, _ in blocks)
        if series is not None:
            assert list(zip(series.steps.tolist(), series.scalar.tolist(), strict=True)) == rows
            assert series.times.tolist() == [s / 2 for s, _ in rows]


def test_metrics_of_one_schema_keep_their_steps_once():
    history = History()
    history.apply(Segment(0, 0, 1, 0.0))
    history.apply(Schema(1, "step", [FieldSpec("loss.train"), FieldSpec("lr")]))
    steps = np.arange(1, 4)
    history.apply(Block(1, 0, 0, 3, steps.tobytes(), steps.astype(float).tobytes(), np.ones(6, np.float32).tobytes()))
    track = history.tracks[0, 0]
    assert track["loss.train"].axis is track["lr"].axis
