"""Logs that are cut off or damaged at any byte: what is whole is read, the rest is one line, and nothing raises."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnwatch.errors import RunError
from nnwatch.logs import find
from nnwatch.logs.log import LogError, Row
from nnwatch.logs.names import metric_of

from .reading import PATHS, REAL, needs_tensorboard, told, values


def _small() -> dict[str, tuple[Path, bytes]]:
    """A file of each format, and so much of it that all its bytes can be tried."""
    files = {
        "wandb": (PATHS["wandb"] / "run-gu6mb37w.wandb", 1400),
        "plain": (PATHS["plain"], 400),
        "metric": (next(REAL.glob("mlruns/*/*/metrics/train_loss")), 400),
        "meta": (next(REAL.glob("mlruns/*/*/meta.yaml")), 400),
        "tensorboard": (PATHS["tensorboard"] / "events.out.tfevents.1795294228.host.1.0", 800),
    }
    trainer = PATHS["trainer"] / "checkpoint-200" / "trainer_state.json"
    state = json.loads(trainer.read_bytes())
    state = {"log_history": state["log_history"][:3], "max_steps": 600, "global_step": 200}
    known = {name: (path, path.read_bytes()[:size]) for name, (path, size) in files.items()}
    return known | {"trainer": (trainer, json.dumps(state).encode())}


SMALL = _small()
CASES = [pytest.param(name, marks=needs_tensorboard if name == "tensorboard" else ()) for name in SMALL]


def place(tmp_path, name):
    """A copy of the log whose file is the one to break, the file, and the path to open."""
    path = SMALL[name][0]
    if "mlruns" not in path.parts:
        return tmp_path / path.name, tmp_path / path.name
    run = next(parent for parent in path.parents if (parent / "meta.yaml").exists() and (parent / "metrics").exists())
    copy = tmp_path / "run"
    if not copy.exists():
        shutil.copytree(run, copy)
    return copy / path.relative_to(run), copy


def opened(path: Path) -> tuple[list[Row] | None, str]:
    """The rows of a log, None where it does not open, and the line about what is wrong with it."""
    card = find.run(path)
    try:
        log = find.format_of(card).open(path)
    except LogError as error:
        return None, str(error)
    return log.read(), log.flaw or ""


def losses(rows: list[Row]) -> list[float]:
    return [value for row in rows for name, value in row.values.items() if metric_of(name) == "loss.train"]


@pytest.mark.parametrize("name", CASES)
def test_cut_off_at_every_byte(name, tmp_path):
    file, path = place(tmp_path, name)
    data = SMALL[name][1]
    whole = None
    for size in range(len(data), -1, -1):
        file.write_bytes(data[:size])
        rows, line = opened(path)
        assert "\n" not in line
        if rows is None:
            assert str(file) in line
            continue
        whole = losses(rows) if whole is None else whole
        assert losses(rows) == whole[: len(losses(rows))]
        if size % 256 == 1:
            told(path)
    assert whole


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(max_examples=20)
def test_damaged_anywhere(name, data, tmp_path_factory):
    file, path = place(tmp_path_factory.getbasetemp() / f"damaged-{name}", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    broken = bytearray(SMALL[name][1])
    for at in data.draw(st.lists(st.integers(0, len(broken) - 1), min_size=1, max_size=8)):
        broken[at] = data.draw(st.integers(0, 255))
    file.write_bytes(bytes(broken))
    rows, line = opened(path)
    assert "\n" not in line
    assert str(file) in line if rows is None else told(path)


@given(content=st.binary(max_size=300))
@settings(max_examples=20)
@pytest.mark.parametrize("name", ["run-1.wandb", "trainer_state.json", "metrics.csv"])
def test_any_bytes(name, content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    rows, line = opened(path)
    assert str(path) in line if rows is None else told(path)


CELLS = st.text(st.sampled_from("0123456789.-e+naif,;\t \"'\r"), max_size=9)


@given(rows=st.lists(st.lists(CELLS, max_size=4), max_size=6))
@example(rows=[["inf", "1", "inf", "inf"], ["nan", "nan", "nan", "nan"], ["1e300", "1e300", "1e300", "1"]])
@settings(max_examples=20)
def test_any_cells(rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "cells.csv"
    path.write_text("step,loss,epoch,time\n" + "\n".join(",".join(row) for row in rows) + "\n", newline="")
    told(path)


def test_a_damaged_record_is_left_out_and_the_rest_is_read(tmp_path):
    path = tmp_path / "run-1.wandb"
    path.write_bytes(SMALL["wandb"][0].read_bytes().replace(b"0.7287856340408325", b"0.1287856340408325"))
    rows, line = opened(path)
    assert rows is not None
    assert "damaged" in line
    assert len(losses(rows)) == 39
    assert rows[-1].step == 2000


def test_the_others_open_where_one_is_broken(tmp_path):
    shutil.copytree(PATHS["trainer"], tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "trainer_state.json").write_text('{"log_history": [{"step"')
    good, bad = sorted(find.runs(tmp_path), key=lambda card: card.name, reverse=True)
    assert len(values(told(tmp_path / good.name), "loss.train")) == 12
    with pytest.raises(RunError, match=r"bad/trainer_state\.json: cut off"):
        told(tmp_path / bad.name)


def test_a_broken_checkpoint_gives_way_to_the_one_before(tmp_path):
    run = shutil.copytree(PATHS["trainer"], tmp_path / "run")
    (run / "checkpoint-600" / "trainer_state.json").write_text('{"log_history"')
    rows, line = opened(run)
    assert rows is not None
    assert rows[-1].step == 400
    assert "checkpoint-600/trainer_state.json" in line
