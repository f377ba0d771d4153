"""What counts as detected, the lines of the tables, and the published rules."""

import re

import numpy as np

from nnwatch.frame import Block, FieldSpec, Labels, Schema, Segment
from nnwatch.history import History

from .__main__ import opened
from .catalogue import configurations
from .outcomes import outcome, said
from .published import fired
from .report import report
from .score import Scored, faulty_row
from .table import rate


def test_what_counts_as_detected_first_and_wrong():
    one = configurations()["mlp/sgd 0.3 + lr 10"]
    right = said("lr-too-high", primary=True)
    row = faulty_row(one, outcome(right, said("dead-relu", cause="lr-too-high"), nonfinite=50), outcome())
    assert (row.detected, row.first, row.symptom, row.wrong, row.lead) == (True, True, False, (), 20)
    assert not faulty_row(one, outcome(right), outcome(right)).detected, "the clean twin gets it as well"
    late = faulty_row(
        one, outcome(said("overfitting", primary=True), said("softmax-twice"), said("dead-relu"), right), outcome()
    )
    assert (late.detected, late.wrong) == (False, ("overfitting", "softmax-twice"))
    seen = faulty_row(one, outcome(said("not-learning", primary=True)), outcome())
    assert (seen.symptom, seen.detected, seen.wrong) == (True, False, ())


def test_a_line_of_the_table_says_whether_it_is_reached():
    line = rate("found", [True] * 9 + [False], bool, lambda hit: str(hit), ">= 90")
    assert "9 of   10   90.0 %    60 to  98 %   families   0 to 100 %   to reach >= 90: met" in line
    assert rate("loud", [True, False], bool, lambda hit: "f", "<= 2").endswith("to reach <= 2: missed")
    assert "none" in rate("nothing", [], bool, str)


def test_the_report_tells_misses_and_what_was_not_recorded():
    late, bad = configurations()["mlp/sgd 0.3 + lr 10"], configurations()["mlp/adam + NaN in a row"]
    rows = [
        faulty_row(late, outcome(said("lr-too-high", primary=True), nonfinite=50), outcome()),
        faulty_row(bad, outcome(nonfinite=40), outcome()),
    ]
    text = "\n".join(report(Scored(rows, [outcome(said("plateau"))], [], 3, ["mlp/lost"])))
    assert "2 faulty and 1 healthy configurations; 0 harmless and 3 weak ones are not scored" in text
    assert "median 20 of [20]   to reach >= 5: met" in text
    assert "where the data or an operation is the cause  median 0 of [0]" in text
    assert "Not recorded: mlp/lost" in text
    assert re.search(r"^healthy with a warn or worse +1 of +1  100.0 %.*missed$", text, re.MULTILINE)
    assert re.search(r"^- mlp/adam \+ NaN in a row +\[nan-input\]  nothing$", text, re.MULTILINE)
    assert "crashed" in text.partition("Causes that no run here has:")[2]


def test_each_opening_of_the_half_set_aside_is_counted(tmp_path):
    file = tmp_path / "openings.txt"
    halves = (["vit", "forecast"], ["flow", "graph"], ["forecast", "vit"])
    assert [opened(half, file) for half in halves] == [1, 1, 2]
    assert file.read_text().splitlines()[-1] == "opening 2: forecast vit"


def recorded_columns(**columns):
    """A history with a record a step of each metric; a name's dots are written as two underscores."""
    history = History()
    history.apply(Segment(0, 0, 1, 0.0))
    for number, (name, values) in enumerate(columns.items(), 1):
        metric, table = name.replace("__", "."), np.atleast_2d(np.asarray(values, np.float32).T).T
        steps = np.arange(1, len(table) + 1)
        names = [f"{i}.weight" for i in range(table.shape[1])]
        history.apply(Labels(number, names, ["4x4"] * len(names)))
        history.apply(Schema(number, metric, [FieldSpec(metric, table.shape[1], number)]))
        bytes_of = steps.tobytes(), steps.astype(float).tobytes(), np.ascontiguousarray(table.T).tobytes()
        history.apply(Block(number, 0, 0, len(steps), *bytes_of))
    return history


def test_published_rules_keep_their_own_thresholds():
    calm = fired(recorded_columns(loss__train=np.linspace(2, 1, 100), update__ratio=np.full((100, 2), 1e-3)))
    assert calm["SageMaker Debugger"] == []
    assert calm["TheDeepChecker"] == []
    wild = fired(recorded_columns(loss__train=[2.0, np.nan, 1.0], update__ratio=np.full((3, 2), 11), lr=[[0.5]] * 3))
    assert wild["SageMaker Debugger"] == ["WeightUpdateRatio", "ExplodingTensor"]
    assert wild["UMLAUT"] == ["learning rate high", "not a number in loss"]
    assert wild["TheDeepChecker"] == ["updates too large", "not a number"]
    assert wild["AutoTrainer"] == ["exploding gradient"]
    assert fired(History())["UMLAUT"] == []
