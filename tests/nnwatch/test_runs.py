"""Finding runs: names, prefixes, ids, paths, the newest; other machines; broken cards."""

import dataclasses
import json
import os
import shutil
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from nnwatch import folders, runs
from nnwatch import job as jobs
from nnwatch.card import Card, card_path
from nnwatch.cli import main
from nnwatch.errors import RunError
from nnwatch.process import Process, here
from nnwatch.screen import _rows


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Make a card (and its empty session) in the registry."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("NNWATCH_HOME", str(tmp_path / "sessions"))
    (tmp_path / "sessions").mkdir()
    count = 0

    def one(name, **fields):
        nonlocal count
        count += 1
        session = tmp_path / "sessions" / f"{name}-{count}.nnw"
        session.touch()
        made = {"id": f"{count:08x}", "session": str(session), "command": ["x"], "cwd": "/", "started": float(count)}
        card = Card(**({"name": name, "end": {"status": "finished"}} | made | here() | fields))
        card.save(folders.new_job(card.id) / "job.json")
        return card

    return one


def test_a_run_is_found_by_everything_that_names_it(make, tmp_path, monkeypatch):
    alpha, beta = make("alpha-1"), make("beta-2")
    for words in ("alpha-1", "alp", alpha.id, alpha.session):
        assert runs.resolve(words).id == alpha.id
    assert runs.resolve(None).id == beta.id
    monkeypatch.chdir(tmp_path)
    assert runs.resolve("sessions/alpha-1-1.nnw").id == alpha.id


def test_two_runs_of_one_name_are_both_listed(make, capsys):
    one, two = make("same"), make("same")
    assert main(["report", "same"]) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[0] == "nnwatch: 'same' means 2 runs; give the id or the path of one:"
    assert one.id in err
    assert two.session in err
    assert runs.resolve(two.id).id == two.id


def test_an_exact_name_wins_over_a_prefix_and_an_ambiguous_prefix_is_refused(make):
    make("run"), make("run-2")
    assert runs.resolve("run").name == "run"
    with pytest.raises(RunError, match="means 2 runs"):
        runs.resolve("ru")
    with pytest.raises(RunError, match="no run is called"):
        runs.resolve("")


def test_state_tells_running_lost_and_elsewhere_apart(make):
    me = Process.of(os.getpid())
    card = make("a", end=None, trainer=me)
    assert card.state == "running"
    assert dataclasses.replace(card, trainer=Process(me.pid, me.start + 1)).state == "lost"
    assert dataclasses.replace(card, host="other").state == "elsewhere"
    assert dataclasses.replace(card, namespace="pid:[1]").state == "elsewhere"
    assert dataclasses.replace(card, boot="before").state == "lost"
    assert dataclasses.replace(card, end={"status": "killed"}).state == "killed"


def test_a_process_that_waits_to_be_reaped_is_gone():
    child = subprocess.Popen([sys.executable, "-c", ""])
    process = Process.of(child.pid)
    deadline = time.monotonic() + 10
    while process.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not process.alive
    child.wait()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"id": 1}',
        "\x00",
        '{"id": "a", "name": "n", "session": "s", "command": "no", "cwd": 1}',
    ],
)
def test_a_broken_card_is_passed_over(make, tmp_path, text):
    card = make("good")
    (tmp_path / "sessions" / "bad.run.json").write_text(text)
    assert [found.id for found in runs.runs()] == [card.id]


def test_a_card_with_control_characters_is_no_card(make, tmp_path):
    make("good")
    evil = dict(
        json.loads((next(folders.registries()[0].glob("*/job.json"))).read_text()), name="\x1b]0;evil\x07", id="x"
    )
    (tmp_path / "sessions" / "evil.run.json").write_text(json.dumps(evil))
    assert [card.name for card in runs.runs()] == ["good"]


def test_a_folder_that_was_moved_is_listed_by_the_cards_in_it(make, tmp_path, monkeypatch):
    card = make("moved")
    card.save(card_path(tmp_path / "sessions" / "moved-1.nnw"))
    shutil.rmtree(tmp_path / "state")
    shutil.move(tmp_path / "sessions", tmp_path / "elsewhere")
    monkeypatch.setenv("NNWATCH_HOME", str(tmp_path / "elsewhere"))
    assert [found.session for found in runs.runs()] == [str(tmp_path / "elsewhere" / "moved-1.nnw")]


def test_a_session_alone_is_a_run_too(make, tmp_path):
    alone = tmp_path / "copied.nnw"
    alone.touch()
    card = runs.resolve(str(alone))
    assert (card.name, card.state, card.session) == ("copied", "recorded", str(alone))


def test_runs_whose_session_is_deleted_are_forgotten(make, tmp_path):
    make("deleted")
    kept = make("kept")
    (tmp_path / "sessions" / "deleted-1.nnw").unlink()
    assert [found.id for found in runs.runs()] == [kept.id]
    jobs.prune()
    assert [path.parent.name for path in folders.registries()[0].glob("*/job.json")] == [kept.id]


def test_rings_of_a_job_that_was_killed_as_a_whole_are_removed_by_the_next(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dead = jobs.prepare(["x"], name="dead")
    rings = jobs.options(dead)["rings"]
    assert all(os.path.isdir(folder) for folder in rings)
    card = Card.load(dead / "job.json")
    jobs.prune()  # it is only being prepared
    assert all(os.path.isdir(folder) for folder in rings)
    dataclasses.replace(card, launcher=None).save(dead / "job.json")
    jobs.prune()
    assert not any(os.path.isdir(folder) for folder in rings)


def test_the_registry_is_private_and_a_foreign_folder_is_not_used(make, tmp_path, monkeypatch):
    make("a")
    assert stat.S_IMODE(folders.registries()[0].stat().st_mode) == 0o700
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "state")
    with pytest.raises(PermissionError):
        folders.private(link)


def test_ls_says_what_there_is(make, capsys):
    assert main(["ls"]) == 0
    assert "no runs yet" in capsys.readouterr().out
    make("one", latest={"step": 7, "loss": 0.25, "finding": "lr-too-high", "severity": "warn"})
    assert main(["ls"]) == 0
    line = capsys.readouterr().out
    assert all(word in line for word in ("one", "finished", "step 7", "0.25", "warn lr-too-high"))
    assert main(["ls", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["name"], row["status"], row["latest"]["step"]) == ("one", "finished", 7)
    assert main([]) == 0
    assert "one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("written", "loss"), [(0.5, 0.5), ("nan", np.nan), ("-inf", -np.inf), (None, None), ("low", None), ([1], None)]
)
def test_a_loss_that_is_not_finite_is_a_word_in_the_card_and_a_number_in_the_lists(make, written, loss, capsys):
    make("one", latest={"step": 7, "loss": written})
    [row] = _rows(runs.runs)
    assert (row.last_step, row.last_loss) == (7, loss if loss is None else pytest.approx(loss, nan_ok=True))
    assert main(["ls"]) == 0
    assert ("  loss " in capsys.readouterr().out) == (loss is not None)


def test_a_ring_that_goes_meanwhile_stops_no_start(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(jobs, "_ring_parents", lambda: [tmp_path / "rings"])
    (tmp_path / "rings").mkdir()
    (tmp_path / "rings" / "gone").symlink_to(tmp_path / "nowhere")  # listed, and not to be found when it is looked at
    left = tmp_path / "rings" / "left"
    left.mkdir()
    os.utime(left, (0, 0))
    jobs.prune()
    assert not left.exists()
