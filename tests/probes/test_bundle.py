"""The bundle is bounded, keeps the bad samples, and leaves nothing where it cannot be written."""

import json

import numpy as np
import pytest
import torch

from nnwatch.probes import bundle
from nnwatch.probes.case import Case


def case(batch):
    return Case([], [], 0, None, None, batch, None, None, None)


def test_of_a_large_batch_the_bad_samples_and_some_others_are_kept(tmp_path):
    x, y = torch.zeros(64, 100_000), torch.arange(64)
    x[50, 7] = float("nan")
    x[:, 0] = torch.arange(64)
    folder = tmp_path / "run.autopsy" / "one"
    (tmp_path / "run.autopsy").mkdir()
    files = bundle.write(str(folder), 9, {"bad_samples": [50], "loss": float("nan")}, case([x, y, "a word"]))
    assert sorted(files) == sorted(path.name for path in folder.iterdir())
    assert sum(path.stat().st_size for path in folder.glob("*.npy")) <= bundle.BYTES + (1 << 16)
    about = json.loads((folder / "autopsy.json").read_text())
    first, second = about["arrays"]
    kept = np.load(folder / "batch.0.npy", allow_pickle=False)
    assert (first["shape"], first["rows"]) == ([64, 100_000], [*range(40), 50])
    assert kept[:, 0].tolist() == first["rows"]
    assert np.isnan(kept[-1, 7])
    assert np.load(folder / second["file"], allow_pickle=False).tolist() == second["rows"] == first["rows"]
    assert about["values"]["batch.2"] == "a word"
    assert about["report"]["loss"] == "nan"


def test_half_precision_is_kept_exactly_and_views_once(tmp_path):
    x = torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16)
    bundle.write(str(tmp_path / "a" / "one"), 1, {}, case({"image": x, "again": x}))
    about = json.loads((tmp_path / "a" / "one" / "autopsy.json").read_text())
    [only] = about["arrays"]
    assert (only["places"], only["type"], only["stored"]) == (["batch.image", "batch.again"], "bfloat16", "float32")
    assert np.load(tmp_path / "a" / "one" / only["file"]).tolist() == [[1.5, -2.0]]


def test_where_it_cannot_be_written_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="Not a directory"):
        bundle.write(str(tmp_path / "file" / "one"), 1, {}, case([torch.zeros(3)]))
    with pytest.raises(OSError, match="No such file"):
        bundle.write(str(tmp_path / "missing" / "deep" / "one"), 1, {}, case([torch.zeros(3)]))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
