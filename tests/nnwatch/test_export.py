"""What is exported is what was recorded: every record once, every number the same, missing never zero."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from nnwatch.cli import main
from nnwatch.frame import Block, Commit, Console, FieldSpec, Labels, Run, Schema, Segment
from nnwatch.session import Reader, Writer
from nnwatch.tables import Tables

from .doors import PATIENCE, Home, history

DEMO = Path(__file__).parents[2] / "nnwatch" / "demo.nnw"
RUN = Run("one", "id", "host", ["x"], "python", "/", 10.0)


@pytest.fixture
def session(tmp_path):
    """Two steps whose records hold different metrics, a loss that is none, and two layers."""

    def block(schema, step, *values):
        numbers = np.array(values, np.float32).tobytes()
        return Block(schema, 0, 0, 1, np.array([step]).tobytes(), np.array([10.0 + step]).tobytes(), numbers)

    path = tmp_path / "made.nnw"
    writer = Writer(path)
    writer.append(
        [
            RUN,
            Segment(0, 0, 1, 10.0),
            Labels(1, ["fc,1", "fc2"]),
            Schema(1, "step", [FieldSpec("loss.train")]),
            Schema(2, "step", [FieldSpec("loss.train"), FieldSpec("user.mine"), FieldSpec("update.ratio", 2, 1)]),
            block(1, 1, math.nan),
            block(2, 2, math.inf, 0.1, 0.25, math.nan),
        ],
        Commit(12.0),
    )
    writer.close()
    return str(path)


def export(session, form, folder):
    assert main(["export", str(session), "--to", form, "--out", str(folder)]) == 0
    return folder


def test_csv_has_empty_fields_for_what_is_missing_and_words_for_what_is_no_number(session, tmp_path):
    folder = export(session, "csv", tmp_path / "out")
    assert (folder / "step.csv").read_text().splitlines() == [
        "segment,rank,step,time,loss.train,user.mine",
        "0,0,1,11.0,nan,",
        "0,0,2,12.0,inf,0.1",
    ]
    assert (folder / "step.parameter.csv").read_text().splitlines() == [
        "segment,rank,step,time,name,update.ratio",
        '0,0,2,12.0,"fc,1",0.25',
        "0,0,2,12.0,fc2,nan",
    ]
    assert len(list(folder.iterdir())) == 2


def test_json_lines_are_strict_json(session, tmp_path):
    text = (export(session, "jsonl", tmp_path / "out") / "step.jsonl").read_text()
    rows = [
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON")) for line in text.splitlines()
    ]
    key = {"segment": 0, "rank": 0}
    assert rows == [
        key | {"step": 1, "time": 11.0, "loss.train": "nan", "user.mine": None},
        key | {"step": 2, "time": 12.0, "loss.train": "inf", "user.mine": 0.1},
    ]


def test_every_number_of_a_real_recording_comes_back_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("nnwatch.tables.ROWS", 100)  # several pieces, the last not full
    folder = export(DEMO, "csv", tmp_path / "out")
    track = history(DEMO).main
    with (folder / "step.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for metric in ("loss.train", "lr", "step.seconds"):
        values = np.array([row[metric] for row in rows], np.float32)
        np.testing.assert_array_equal(values, track[metric].scalar)
    np.testing.assert_array_equal([float(row["time"]) for row in rows], track["lr"].times)
    with (folder / "sample.parameter.csv").open(newline="") as file:
        ratio = np.array([row["update.ratio"] for row in csv.DictReader(file)], np.float32)
    np.testing.assert_array_equal(ratio, track["update.ratio"].values.ravel())


def test_what_is_held_at_once_does_not_grow_with_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr("nnwatch.tables.ROWS", 100)
    writer = Writer(tmp_path / "long.nnw")
    writer.append([RUN, Segment(0, 0, 1, 10.0), Schema(1, "step", [FieldSpec("loss.train")])], Commit(0.0))
    steps = np.arange(1, 5001)
    for part in steps.reshape(-1, 20):
        times, values = part.astype(float).tobytes(), part.astype(np.float32).tobytes()
        writer.append([Block(1, 0, 0, 20, part.tobytes(), times, values)], Commit(0.0))
    writer.close()
    pieces = [table.columns["step"] for table in Tables(Reader(tmp_path / "long.nnw").read())]
    assert max(map(len, pieces)) <= 120
    assert np.concatenate(pieces).tolist() == steps.tolist()


def test_a_frame_longer_than_what_is_read_at_once_does_not_end_the_reading(tmp_path):
    writer = Writer(tmp_path / "s.nnw")
    text = Console(0.0, "x" * 100_000)
    writer.append([RUN, text, RUN], Commit(0.0))
    reader = Reader(tmp_path / "s.nnw")
    found = []
    while frames := reader.read(1000):
        found += frames
    assert found == [RUN, text, RUN, Commit(0.0)]
    writer.close()


def test_a_running_job_is_exported_as_far_as_it_is(home: Home):
    running = home.start("run", "--name", "grows", "trainer.py", "100", "0.01", "close")
    home.running(10)
    done = home.nnwatch("export", "--to", "csv", "--out", "some")
    assert (done.returncode, done.stderr) == (0, "")
    rows = (home.folder / "some" / "step.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[2]) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 10
    assert running.wait(PATIENCE) == 0
    done = home.nnwatch("export", "--to", "csv")
    [folder] = home.folder.glob("*-csv")
    assert f"{folder.name}/step.csv" in done.stdout.splitlines()
    assert len((folder / "step.csv").read_text().splitlines()) == 101


def test_a_folder_with_something_in_it_is_not_written_to(session, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["export", session, "--to", "csv", "--out", str(tmp_path)]) == 2
    assert "there is something in it already" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.csv"))


def test_a_folder_that_cannot_be_made_is_one_line(session, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["export", session, "--to", "csv", "--out", str(tmp_path / "file" / "x")]) == 2
    assert capsys.readouterr().err == f"nnwatch: {tmp_path}/file/x: cannot be written: Not a directory\n"


def test_what_is_whole_of_a_damaged_recording_is_exported_and_the_flaw_told(tmp_path, capsys):
    cut = tmp_path / "cut.nnw"
    cut.write_bytes(DEMO.read_bytes()[:-3])
    assert main(["export", str(cut), "--to", "csv", "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert "step.csv" in out
    assert "cut off at byte" in err
    cut.write_bytes(b"PK\x03\x04 something else")
    assert main(["export", str(cut), "--to", "csv", "--out", str(tmp_path / "none")]) == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("form", "package"), [("parquet", "pyarrow"), ("tensorboard", "tensorboard")])
def test_without_the_extra_it_says_what_to_install(home: Home, form, package):
    home.script(f"{package}.py", "raise ImportError")
    done = home.nnwatch("export", str(DEMO), "--to", form, "--out", "out", env={"PYTHONPATH": str(home.folder)})
    assert done.returncode == 2
    assert (
        done.stderr == f"nnwatch: --to {form} needs {package}, which is not installed; pip install 'nnwatch[export]'\n"
    )
    assert not (home.folder / "out").exists()


def test_parquet_keeps_missing_and_nan_apart(session, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra: pip install 'nnwatch[export]'")
    table = parquet.read_table(export(session, "parquet", tmp_path / "out") / "step.parquet")
    assert table["user.mine"].to_pylist() == [None, np.float32(0.1)]
    assert table["loss.train"].null_count == 0
    assert np.isnan(table["loss.train"][0].as_py())
    assert str(table.schema.field("loss.train").type) == "float"
    layers = parquet.read_table(tmp_path / "out" / "step.parameter.parquet")
    assert layers["name"].to_pylist() == ["fc,1", "fc2"]


def test_tensorboard_has_the_curves_and_the_means_of_evaluations(tmp_path):
    reason = "needs the extra: pip install 'nnwatch[export]'"
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader", reason=reason)
    folder = export(DEMO, "tensorboard", tmp_path / "out")
    curves: dict = {}
    for path in (folder / "segment-0.rank-0").iterdir():
        for event in loader.LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                curves.setdefault(value.tag, []).append((event.step, value.simple_value))
    track = history(DEMO).main
    assert [step for step, _ in curves["loss.train"]] == track["loss.train"].steps.tolist()
    np.testing.assert_array_equal(
        np.array([v for _, v in curves["loss.train"]], np.float32), track["loss.train"].scalar
    )
    passes = track.evaluations()
    np.testing.assert_allclose(curves["loss.val"], np.column_stack([passes.steps, passes.loss]), rtol=1e-6)
    assert "update.ratio/0.weight" in curves
    assert not any(tag.startswith(("confidence", "loss.val.each")) for tag in curves)
