"""Each format read from what its own framework wrote: names, steps, times, settings, ends; and while it grows."""

import csv
import json
import os
import shutil

import numpy as np
import pytest

from nnwatch.errors import RunError
from nnwatch.history import History
from nnwatch.logs import find

from .reading import PATHS, REAL, main, more, needs_tensorboard, source, told, values

LOOP = {"grad.norm", "loss.train", "loss.val", "lr", "accuracy.val"}


@pytest.mark.parametrize(
    ("name", "metrics", "losses", "first", "evaluated"),
    [
        pytest.param("tensorboard", LOOP, 40, (50, 1.2229146), (200, 0.7150750), marks=needs_tensorboard),
        ("wandb", LOOP, 40, (50, 1.2229146), (200, 0.7150750)),
        ("plain", LOOP, 40, (50, 1.2229146), (200, 0.7150750)),
        ("mlflow", LOOP, 20, (50, 1.2229146), (200, 0.7150750)),
        ("trainer", LOOP | {"epoch"}, 12, (50, 1.3543115), (100, 1.0604751)),
        ("lightning", (LOOP | {"epoch"}) - {"grad.norm"}, 76, (9, 1.3927300), (63, 1.1945403)),
        ("keras", {"loss.train", "loss.val", "accuracy.train", "accuracy.val"}, 10, (0, 1.3105788), (0, 1.1916728)),
    ],
)  # fmt: skip
def test_the_curves_are_there_with_their_steps(name, metrics, losses, first, evaluated):
    history = told(PATHS[name])
    assert {metric for metric in main(history) if not metric.startswith("user.")} == metrics
    curve, evaluations = values(history, "loss.train"), main(history).evaluations()
    assert len(curve) == losses
    assert curve[0] == pytest.approx(first, rel=1e-6)
    assert (evaluations.steps[0], evaluations.loss[0]) == pytest.approx(evaluated, rel=1e-6)
    assert history.run is not None
    assert history.run.started <= history.last_time


def test_one_training_in_four_logs_is_one_curve():
    with PATHS["plain"].open(newline="") as file:
        wanted = [float(row["train_loss"]) for row in csv.DictReader(file)]
    for name in ("plain", "wandb", "mlflow"):
        losses = [loss for _, loss in values(told(PATHS[name]), "loss.train")]
        assert losses == pytest.approx(wanted[: len(losses)], rel=1e-6)


@needs_tensorboard
def test_an_event_file_has_the_same_curve_with_its_times_and_a_histogram_is_no_curve():
    history, plain = told(PATHS["tensorboard"]), told(PATHS["plain"])
    assert values(history, "loss.train") == values(plain, "loss.train")
    assert not [metric for metric in main(history) if "weights" in metric]
    times = main(history)["loss.train"].times
    assert 0 < times[-1] - times[0] < 60
    assert times[0] > 1.79e9


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("wandb", {"lr": 0.001, "net": {"width": 32}}),
        ("mlflow", {"lr": "0.001", "width": "32"}),
        ("lightning", {"width": "32"}),
        ("trainer", {"train_batch_size": 64, "num_train_epochs": 10, "logging_steps": 50, "eval_steps": 100,
                     "save_steps": 200}),
    ],
)  # fmt: skip
def test_hyperparameters_are_facts(name, settings):
    history = told(PATHS[name])
    assert history.facts_of(main(history))["hyperparameters"] == settings


@pytest.mark.parametrize(
    ("name", "status"),
    [("wandb", "finished"), ("mlflow", "finished"), ("trainer", "finished"), ("lightning", "lost"), ("plain", "lost")],
)
def test_how_it_ended_is_said_where_the_log_knows(name, status):
    end = told(PATHS[name]).end
    assert end is not None
    assert end.status == status
    assert ("not in the log" in end.cause) == (status == "lost")


def test_a_trainer_says_how_many_steps_are_planned():
    history = told(PATHS["trainer"])
    assert history.facts_of(main(history))["planned_steps"] == 600


def test_evaluations_that_are_counted_stand_at_the_steps_of_the_training():
    assert [step for step, _ in values(told(PATHS["mlflow"]), "loss.val")] == [200, 400, 600, 800, 1000]


def test_epochs_count_from_one():
    assert {epoch for _, epoch in values(told(PATHS["lightning"]), "epoch")} == set(range(1, 13))
    assert {epoch for _, epoch in values(told(PATHS["trainer"]), "epoch")} <= set(range(1, 11))


def test_a_trainers_times_are_those_of_its_checkpoints(tmp_path):
    run = shutil.copytree(PATHS["trainer"], tmp_path / "run")
    for step in (200, 400, 600):
        os.utime(run / f"checkpoint-{step}" / "trainer_state.json", (1e9 + step, 1e9 + step))
    series = main(told(run))["loss.train"]
    assert (series.times - series.steps).tolist() == [1e9] * 12


def test_a_copied_trainers_times_do_not_run_backwards(tmp_path):
    run = shutil.copytree(PATHS["trainer"], tmp_path / "trainer")
    for order, step in enumerate((400, 600, 200)):  # as the copying went
        os.utime(run / f"checkpoint-{step}" / "trainer_state.json", (1e9 + order, 1e9 + order))
    history = told(run)
    times = main(history)["loss.train"].times
    assert (np.diff(times) >= 0).all()
    assert history.run is not None
    assert history.run.started <= times[0]


def test_a_newer_checkpoint_adds_its_rows(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(PATHS["trainer"] / "checkpoint-200", run / "checkpoint-200")
    (run / "checkpoint-200" / "trainer_state.json").touch()
    log, history = source(run, follow=True), History()
    more(history, log)
    assert values(history, "loss.train")[-1][0] == 200
    shutil.copytree(PATHS["trainer"] / "checkpoint-400", run / "checkpoint-400")
    more(history, log)
    assert [step for step, _ in values(history, "loss.train")] == list(range(50, 401, 50))
    assert history.end is None


@pytest.mark.parametrize(
    "name", ["wandb", "mlflow", "plain", pytest.param("tensorboard", marks=needs_tensorboard)]
)  # fmt: skip
def test_a_growing_log_is_read_on_and_tells_the_same_in_the_end(name, tmp_path):
    """Cut thirteen times, in the middle of its records."""
    path = PATHS[name]
    run = find.run(path.absolute())
    growing = find.format_of(run).files(type(path)(run.session))
    copy = tmp_path / path.name
    if path.is_dir():
        shutil.copytree(path, copy)
    ends = {(tmp_path / file.relative_to(path.absolute().parent)): file.read_bytes() for file in growing}
    history, log = History(), None
    for part in range(1, 14):
        for file, data in ends.items():
            file.write_bytes(data[: max(60, len(data) * part // 13)])
        log = log or source(copy, follow=True)
        more(history, log)
    assert log is not None
    assert log._log.flaw is None
    complete = told(path)
    assert values(history, "loss.train") == values(complete, "loss.train")
    assert [loss for _, loss in values(history, "loss.val")] == [loss for _, loss in values(complete, "loss.val")]


def test_lightning_writes_its_table_anew_when_a_name_comes_late(tmp_path):
    table = tmp_path / "metrics.csv"
    table.write_text("step,train_loss\n1,3.0\n2,2.5\n")
    log, history = source(table, follow=True), History()
    more(history, log)
    table.write_text("step,train_loss,val_loss\n1,3.0,\n2,2.5,\n3,2.0,2.25\n")
    more(history, log)
    more(history, log)
    assert values(history, "loss.train") == [(1, 3.0), (2, 2.5), (3, 2.0)]
    assert values(history, "loss.val") == [(3, 2.25)]


def test_steps_that_begin_again_are_a_new_segment(tmp_path):
    table = tmp_path / "resumed.csv"
    table.write_text("step,loss\n10,3\n20,2\n30,1.5\n20,2.1\n30,1.4\n")
    history = told(table)
    assert [(number, track.segment.reason) for (number, _), track in history.tracks.items()] == [
        (0, "start"), (1, "resume"),
    ]  # fmt: skip
    assert history.tracks[1, 0].segment.first_step == 19
    assert values(history, "loss.train") == [(20, float(np.float32(2.1))), (30, float(np.float32(1.4)))]


def test_a_table_with_tabs_semicolons_and_times(tmp_path):
    table = tmp_path / "log.csv"
    table.write_text("iteration;loss;timestamp\n100;1.5;1700000000\n200;nan;1700000100\n")
    history = told(table)
    assert main(history)["loss.train"].times.tolist() == [1.7e9, 1.7e9 + 100]
    assert values(history, "loss.train")[0] == (100, 1.5)
    table.write_text("iteration\tloss\ttime\n100\t1.5\t0.5\n200\t1.25\t10.5\n")
    times = main(told(table))["loss.train"].times
    assert times[1] - times[0] == pytest.approx(10)
    assert times[1] == pytest.approx(table.stat().st_mtime)


def test_a_table_of_data_is_no_log(tmp_path):
    (tmp_path / "train.csv").write_text("id,age,label\n1,30,0\n")
    (tmp_path / "prices.csv").write_text("step,price\n1,30\n")
    (tmp_path / "numbers.csv").write_text("1,2,3\n4,5,6\n")
    assert find.runs(tmp_path) == []
    with pytest.raises(RunError, match=r"a directory without a run in it.*TensorBoard, W&B, MLflow"):
        find.run(tmp_path)


def test_kerass_two_folders_are_one_run(tmp_path):
    for part in ("train", "validation"):
        (tmp_path / "fit" / part).mkdir(parents=True)
        (tmp_path / "fit" / part / "events.out.tfevents.1.host.1.0.v2").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "events.out.tfevents.2.host").touch()
    assert {card.name for card in find.runs(tmp_path)} == {"fit", "other"}


def test_a_folder_lists_its_runs_by_what_they_are():
    found = {(card.format, card.name.split("/")[0]) for card in find.runs(REAL)}
    assert found == {
        ("TensorBoard", "tensorboard"), ("W&B", "wandb"), ("MLflow", "mlruns"), ("Hugging Face Trainer", "trainer"),
        ("CSV", "lightning_logs"), ("CSV", "csv"),
    }  # fmt: skip


def test_a_state_of_nobodys_hand_is_one_line(tmp_path):
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": "none"}))
    with pytest.raises(RunError, match=r"trainer_state\.json: cut off or no trainer state"):
        told(tmp_path)


def test_a_table_that_is_being_written_is_followed(tmp_path):
    """What attach does: until nothing comes any more, read() gives what is new."""
    table = tmp_path / "log.csv"
    table.write_text("step,loss\n1,3\n2,2\n")
    log, history = source(table, follow=True), History()

    def until(steps):
        while history.main is None or len(history.main["loss.train"]) < steps:
            assert log.lost is None
            for frame in log.read():
                history.apply(frame)

    until(2)
    with table.open("a") as file:
        file.write("3,1.5\n4,1.2")
    until(3)
    with table.open("a") as file:
        file.write("5\n")
    until(4)
    assert values(history, "loss.train")[-1] == (4, 1.25)
    table.unlink()
    while log.lost is None:
        log.read()
    assert log.lost == f"{table} cannot be read any more: No such file or directory"
    assert log.flaw is None
