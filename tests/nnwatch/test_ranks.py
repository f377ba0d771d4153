"""All ranks of a job in one session, and what is said of the one that is not like the others."""

import sys
from pathlib import Path

import numpy as np
import pytest

from .doors import history

pytest.importorskip("torch")
SCRIPT = Path(__file__).parents[1] / "styles" / "scripts" / "faulty_ranks.py"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0")


def trained(home, fault, steps, *how, ranks=2, options=(), code=0):
    """The session of one job."""
    words = [*TORCHRUN, f"--nproc-per-node={ranks}", *options, SCRIPT, fault, steps, *how]
    budget = ("--budget", "50%")  # these steps take a millisecond: by default few of them are looked at
    done = home.nnwatch("run", "--headless", *budget, "--name", fault, "--", *words)
    assert done.returncode == code, done.stderr
    return history(home.session())


PACE = {"data-bottleneck", "rank-straggler", "step-outlier"}
"""What may be true of a machine that the tests share with others."""


def open_findings(seen):
    return {
        f.rule: f for f in seen.findings.values() if f.status == "open" and f.severity in ("warn", "error", "fatal")
    }


def last_steps(seen):
    return {key: int(track["loss.train"].steps[-1]) for key, track in seen.tracks.items()}


def test_one_of_four_with_weights_of_its_own(home):
    seen = trained(home, "weights", 300, ranks=4)
    assert last_steps(seen) == {(0, rank): 300 for rank in range(4)}
    found = open_findings(seen)["rank-divergence"]
    assert found.severity == "error"
    assert found.what.startswith("rank 3 and rank 0 have different weights since step ")
    assert "they are averaged, and the weights were changed in another way" in found.why
    assert found.remedies[0].title == "Let every rank take the same steps"


def test_shards_of_one_net_on_data_of_their_own_are_sound(home):
    seen = trained(home, "none", 60, "sharded")
    assert not open_findings(seen).keys() - PACE
    assert not [event for event in seen.events if event.name == "probe.failed"]
    clips, parts = ([seen.tracks[0, rank][metric] for rank in (0, 1)] for metric in ("grad.clip.norm", "grad.norm"))
    assert list(clips[0].scalar[:20]) == list(clips[1].scalar[:20]), "the framework's, of the whole gradient"
    assert list(parts[0].scalar[:20]) != list(parts[1].scalar[:20])
    together = np.hypot(parts[0].scalar[:20], parts[1].scalar[:20])
    assert together == pytest.approx(clips[0].scalar[:20], rel=1e-4)


def test_two_with_the_same_samples(home):
    found = open_findings(trained(home, "samples", 60))
    assert found.keys() - PACE == {"rank-divergence"}
    assert found["rank-divergence"].what.startswith("ranks 0 and 1 train on the same samples: ")


@pytest.mark.parametrize("how", [(), ("sharded",)], ids=["whole", "sharded"])
def test_one_that_is_slow_to_read_its_data(home, how):
    found = open_findings(trained(home, "slow", 150, *how))["rank-straggler"]
    assert found.what.startswith("rank 1 waits for its data ")


def test_one_of_four_whose_data_are_of_another_scale_in_shards(home):
    seen = trained(home, "data", 150, "sharded", ranks=4)
    assert {known["sharded"] for known in seen.facts.values() if "sharded" in known} == {"data"}
    assert not any("weight.checksum" in track for track in seen.tracks.values())
    [found] = [f for f in seen.findings.values() if f.rule == "rank-divergence" and f.status == "open"]
    assert found.what.startswith("rank 3 trains on data that are not like those of the others: its inputs are ")


def test_a_layer_in_no_shard_is_each_rank_s_own(home):
    found = open_findings(trained(home, "weights", 150, "sharded"))["rank-divergence"]
    assert found.severity == "error"
    assert found.what.startswith("rank 1 and rank 0 have different weights that are in no shard since step 1")


def test_a_nan_in_the_data_of_one_is_named_not_what_it_did_to_the_first(home):
    found = open_findings(trained(home, "nan", 60, "sharded"))
    assert found.keys() - PACE == {"nan-input"}
    assert found["nan-input"].what.startswith("the input of step 30 on rank 1 held NaN or infinity")


@pytest.mark.parametrize("how", [(), ("sharded",)], ids=["whole", "sharded"])
def test_one_that_is_killed_is_named_not_the_one_that_noticed(home, how):
    patience = "--monitor-interval=5"  # else it may end the one that notices before that has said what it saw
    seen = trained(home, "killed", 60, *how, options=[patience], code=1)
    found = open_findings(seen)["crashed"]
    assert found.what == "rank 1 ended at step 29 without an exception; the others lost their connection to it"
    assert last_steps(seen) == {(0, 0): 29, (0, 1): 29}


def test_a_restart_by_the_launcher_is_a_segment_of_all_ranks(home):
    home.env["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # else gloo may find the addresses of those that are gone
    seen = trained(home, "restart", 60, options=["--max-restarts=1"])
    assert last_steps(seen) == {(0, 0): 29, (0, 1): 29, (1, 0): 60, (1, 1): 60}
    assert not open_findings(seen).keys() - PACE


def test_ranks_that_the_script_spawns_itself(home):
    done = home.nnwatch("run", "--headless", SCRIPT, "none", 40, "spawn")
    assert done.returncode == 0, done.stderr
    seen = history(home.session())
    assert last_steps(seen) == {(0, 0): 40, (0, 1): 40}
    assert not open_findings(seen).keys() - PACE


LAUNCHER = """
import os, socket, subprocess, sys
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
known = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
ranks = [
    subprocess.Popen([sys.executable, "-u", *sys.argv[1:], f"--local_rank={n}"],
                     env=known | {"RANK": str(n), "LOCAL_RANK": str(n)})
    for n in range(2)
]
sys.exit(max(rank.wait() for rank in ranks))
"""


def test_ranks_of_a_launcher_that_starts_each_by_itself(home):
    """As deepspeed does: a process a rank, told by its environment and a last argument."""
    home.script("launch.py", LAUNCHER)
    done = home.nnwatch("run", "--headless", "--", sys.executable, "launch.py", SCRIPT, "none", 40)
    assert done.returncode == 0, done.stderr
    seen = history(home.session())
    assert last_steps(seen) == {(0, 0): 40, (0, 1): 40}
    assert not open_findings(seen).keys() - PACE
