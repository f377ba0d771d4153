"""Ten scripts, each with another cause of its NaN: the true one is named, and the batch is kept beside the session."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnwatch.report import Summary, text

from .doors import Home, history

SCRIPTS = Path(__file__).parents[1] / "probes" / "nan"
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "learning_rate": ({"origin": "loss", "op": "mse_loss"}, "lr-too-high"),
    "input_cell": ({"origin": "input", "samples": [417]}, "nan-input"),
    "label_range": (
        {"origin": "target", "samples": [371], "classes": 5, "raised": True, "step": 47},
        "label-out-of-range",
    ),
    "label_one_hot": ({"origin": "target", "samples": [371], "classes": 4, "step": 47}, "label-out-of-range"),
    "log_zero": ({"origin": "loss", "op": "log", "step": 77}, "nan-loss-fn"),
    "sqrt_zero": ({"origin": "backward", "op": "sqrt", "step": 67}, "nan-backward"),
    "absent_class": ({"origin": "loss", "op": "div", "step": 26}, "nan-loss-fn"),
    "half_overflow": (
        {"origin": "overflow", "op": "matmul", "layer": "0", "samples": [613], "step": 77},
        "amp-overflow",
    ),
    "adam_half": ({"origin": "optimizer", "op": "Adam", "step": 1}, "nan-optimizer"),
    "adam_eps": ({"origin": "optimizer", "op": "Adam", "layer": "0", "step": 1}, "nan-optimizer"),
}
"""Origin as the probe tells it, and the advisor's primary finding. Steps are shorter than a millisecond."""
DETAILS = {
    "label_range": "target 5 of sample 3 lies outside 0 to 4",
    "absent_class": "no sample of class 2",
    "half_overflow": "float16 ends at 65504",
    "adam_half": "eps 1e-08 is 0 in float16",
    "input_cell": "1 NaN of 112 input values, column 5",
}


@pytest.fixture(scope="module", params=CASES)
def run(request, tmp_path_factory):
    """Name and summary of one script's run."""
    home = Home(tmp_path_factory.mktemp(request.param))
    home.nnwatch("run", "--name", request.param, str(SCRIPTS / f"{request.param}.py"))
    return request.param, Summary(history(home.session()), home.cards()[-1])


@pytest.mark.slow
def test_the_true_cause_is_named_and_the_batch_is_kept(run):
    name, summary = run
    expected, rule = CASES[name]
    seen, report = summary.history, summary.json()
    [event] = [event for event in seen.events if event.name == "nonfinite"]
    told = event.data | {"step": event.step}
    assert {key: told.get(key) for key in expected} == expected
    assert DETAILS.get(name, "") in told["detail"]
    assert told["last_finite_step"] == event.step - 1
    [primary] = [finding for finding in report["findings"] if finding["primary"]]
    assert (primary["rule"], primary["segment"]) == (rule, 0)
    [autopsy] = report["autopsy"]
    assert {key: autopsy[key] for key in expected} == expected
    assert sorted(os.listdir(autopsy["folder"])) == next(e.data["files"] for e in seen.events if e.name == "autopsy")
    said = text(summary)
    assert f"AUTOPSY of step {event.step}: it began" in said
    assert autopsy["folder"] in said
    assert not [event for event in seen.events if event.name == "probe.failed"]


READ = """
import json, sys
import numpy as np
from pathlib import Path
folder = Path(sys.argv[1])
about = json.loads((folder / "autopsy.json").read_text())
arrays = {place: np.load(folder / a["file"], allow_pickle=False) for a in about["arrays"] for place in a["places"]}
assert "torch" not in sys.modules
assert all(list(arrays[a["places"][0]].shape) == a["shape"] for a in about["arrays"])
print(json.dumps([about, {name: array.tolist() for name, array in arrays.items()}]))
"""


@pytest.mark.slow
def test_the_bundle_is_read_without_torch(run):
    name, summary = run
    if name != "input_cell":
        pytest.skip("one is enough")
    folder = Path(summary.json()["autopsy"][0]["folder"])
    assert "numpy.load" in (folder / "README.txt").read_text()
    done = subprocess.run([sys.executable, "-c", READ, folder], capture_output=True, text=True, check=True)
    about, arrays = json.loads(done.stdout)
    assert (about["format"], about["report"]["samples"]) == (1, [417])
    x = np.array(arrays["batch.0"])
    assert np.argwhere(np.isnan(x)).tolist() == [[12, 5]]
    assert np.array(arrays["loss.args.0"]).shape == (16, 2)
    assert arrays["loss.args.1"] == arrays["batch.1"]
    states = about["random"]
    version, internal, gauss = states["python"]
    random.Random().setstate((version, tuple(internal), gauss))
    keys = np.load(folder / states["numpy"]["keys"], allow_pickle=False)
    np.random.RandomState().set_state((states["numpy"]["kind"], keys, states["numpy"]["place"], 0, 0.0))
    assert np.load(folder / states["torch"], allow_pickle=False).dtype == np.uint8
