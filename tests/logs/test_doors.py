"""The commands on logs of others, as a user types them."""

import importlib.util
import json
import shutil

import pytest

from nnwatch.cli import main

from .reading import PATHS, REAL


def snapshot(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """A folder with three runs, and nowhere to find others."""
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    folder = tmp_path / "logs"
    folder.mkdir()
    shutil.copy(PATHS["plain"], folder / "healthy.csv")
    shutil.copy(REAL / "csv" / "overfitting.csv", folder)
    shutil.copytree(PATHS["wandb"], folder / "wandb")
    return folder


def test_ls_names_the_runs_of_a_folder(logs, capsys):
    assert main(["ls", "logs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {tuple(line.split()[2:]) for line in lines} == {
        ("CSV", "healthy.csv"), ("CSV", "overfitting.csv"), ("W&B", "wandb/run-gu6mb37w.wandb"),
    }  # fmt: skip
    assert main(["ls", "logs", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["format"] for row in told} == {"CSV", "W&B"}


def test_report_of_one_is_as_of_a_session(logs, capsys):
    assert main(["report", "logs/overfitting.csv", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [finding["rule"] for finding in told["findings"]] == ["overfitting"]
    assert told["run"]["last_step"] == 4000
    assert "dead-relu" in told["run"]["rules_abstained"]
    assert main(["report", "logs/healthy.csv"]) == 0
    out = capsys.readouterr().out
    assert "nothing wrong found" in out
    [line] = [line for line in out.splitlines() if "the log has no act.dead, grad.norm.layer, update.ratio: " in line]
    assert "dead-relu" in line


def test_report_of_a_folder_tells_every_run_and_of_a_broken_one_a_line(logs, capsys):
    (logs / "broken").mkdir()
    (logs / "broken" / "trainer_state.json").write_text("{")
    assert main(["report", "logs", "--json"]) == 2
    out, err = capsys.readouterr()
    assert sorted(run["run"]["name"] for run in json.loads(out)) == [
        "healthy.csv", "overfitting.csv", "wandb/run-gu6mb37w.wandb",
    ]  # fmt: skip
    assert err.count("\n") == 1
    assert "broken/trainer_state.json: cut off" in err
    assert main(["report", "logs"]) == 2
    assert "WATCH overfitting" in capsys.readouterr().out


def test_replay_compare_and_export(logs, capsys):
    before = snapshot(logs)
    assert main(["replay", "logs/overfitting.csv"]) == 0
    assert "WATCH overfitting" in capsys.readouterr().out
    assert main(["compare", "logs/healthy.csv", "logs/overfitting.csv"]) == 0
    assert "new: overfitting" in capsys.readouterr().out
    assert main(["export", "logs/wandb", "--to", "csv", "--out", "tables"]) == 0
    rows = (logs.parent / "tables" / "loss.train.csv").read_text().splitlines()
    assert rows[0] == "segment,rank,step,time,loss.train"
    assert len(rows) == 41
    assert main(["export", "logs/wandb", "--share", "kept.nnw"]) == 0
    assert main(["report", "kept.nnw", "--json"]) == 0
    assert '"status": "finished"' in capsys.readouterr().out
    assert snapshot(logs) == before


def test_a_page_of_a_log(logs, capsys):
    assert main(["report", "logs/overfitting.csv", "--html", "page.html"]) == 0
    assert "overfitting" in (logs.parent / "page.html").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["replay", "logs"], "3 runs lie in it; give the path of one"),
        (["report", "home"], "a directory without a run in it"),
        (["ls", "nowhere"], "no folder with a run in it"),
        (["report", "notes.txt"], "not an nnwatch session, nor a log that can be read"),
        (["report", "logs/healthy.csv", "--info"], "--info and --verify are for sessions"),
        (["wait", "logs/healthy.csv"], "nobody's to wait for"),
        (["report", "data.csv"], "its first line is no whole header"),
    ],
)
def test_bad_input_is_a_line(logs, capsys, words, says):
    (logs.parent / "home").mkdir()
    (logs.parent / "notes.txt").write_text("epoch 1 loss 0.5\n")
    (logs.parent / "data.csv").write_text("1,2\n3,4\n")
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert err.startswith("nnwatch: ")
    assert out == ""


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="it is installed")
def test_a_reader_that_is_missing_is_named(logs, capsys):
    shutil.copytree(PATHS["tensorboard"], logs / "board")
    assert main(["report", "logs/board"]) == 2
    assert "pip install 'nnwatch[logs]'" in capsys.readouterr().err
    assert main(["ls", "logs"]) == 0
