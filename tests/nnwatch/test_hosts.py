"""Trainings on several machines that are connected by a network alone."""

import sys
from pathlib import Path

import pytest

from nnwatch.card import Card

from .doors import TRAINER, history, steps, until
from .hosts import Hosts, machine, needs_machines
from .test_nodes import TOKEN, joined, states

FIRST = "10.77.0.1:7007"
SCRIPT = Path(__file__).parents[1] / "styles" / "scripts" / "faulty_ranks.py"


@pytest.fixture
def hosts(home):
    made = Hosts(home, 3)
    yield made
    made.close()


def card(home, number) -> Card | None:
    """Of the run on a host, whose processes cannot be seen from here."""
    found = [card for card in home.cards() if card.host == f"host{number}" and Path(card.session).exists()]
    return found[-1] if found else None


def test_a_pulled_cable_loses_nothing_and_a_host_that_is_switched_off_is_told(home, hosts):
    home.gate(241)
    own = {"RANK": "1", "GATE": f"241:{home.folder / 'second'}"}
    words = ("run", "--join", FIRST, "--headless", "trainer.py", 300, 0, "close")
    environments: list[dict[str, str]] = [{"RANK": "0"}, own, {"RANK": "2"}]
    started = [hosts.start(number, *words, NNWATCH_TOKEN=TOKEN, **env) for number, env in enumerate(environments, 1)]
    one, two, three = (until(lambda number=number: card(home, number)) for number in (1, 2, 3))
    joined(one, 1, 240)
    joined(one, 2, 240)
    hosts.cable(2, "down")
    (home.folder / "second").touch()
    until(lambda: history(two.session).end)
    assert history(one.session).tracks[0, 1].last_step == 240
    hosts.cable(2, "up")
    joined(one, 1, 300)
    hosts.switch_off(started[2])
    until(lambda: "lost" in states(one.session))
    home.go_on()
    until(lambda: history(one.session).end)
    assert steps(one.session, 0) == steps(one.session, 1) == steps(two.session, 1) == list(range(1, 301))
    assert steps(one.session, 2) == steps(three.session, 2) == list(range(1, 241))
    seen = history(one.session)
    assert {track.segment.host for track in seen.tracks.values()} == {"", "host2", "host3"}
    assert sorted(states(one.session)) == ["ended", "joined", "joined", "left", "lost"]


def test_torchrun_on_two_hosts_is_one_session_and_the_slow_rank_is_named_with_its_host(home, hosts):
    pytest.importorskip("torch")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--master-addr=10.77.0.1", "--master-port=29500"]
    started = []
    for number in (1, 2):
        words = ["--join", FIRST, "--headless", "--budget", "50%", "--name", "slow", "--", *torchrun]
        words += [f"--node-rank={number - 1}", str(SCRIPT), "slow", "150"]
        started.append(hosts.start(number, "run", *words, NNWATCH_TOKEN=TOKEN, GLOO_SOCKET_IFNAME="eth0"))
    said = [process.communicate(timeout=240)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said[0]
    one, two = (until(lambda number=number: card(home, number)) for number in (1, 2))
    seen = history(one.session)
    assert {key: int(track["loss.train"].steps[-1]) for key, track in seen.tracks.items()} == {(0, 0): 150, (0, 1): 150}
    [found] = [f for f in seen.findings.values() if f.rule == "rank-straggler"]
    assert found.what.startswith("rank 1 on host2 waits for its data ")
    own = history(two.session).tracks[0, 1]
    for metric in ("loss.train", "step.seconds", "weight.checksum"):
        assert list(seen.tracks[0, 1][metric].steps) == list(own[metric].steps)


TASK = """
"$@"; echo $? > code.new$RANK; mv code.new$RANK code$RANK
set -- /proc/[0-9]*
while [ $# -gt 1 ]; do sleep 0.1; set -- /proc/[0-9]*; done
"""
"""For sh: tells how the task ended; the machine is there until all on it have ended."""
SRUN = """
import os, pathlib, subprocess, sys, time
nodes = %s
for rank, words in enumerate(nodes):
    subprocess.Popen(words, env={**os.environ, "RANK": str(rank)})
codes = [pathlib.Path(f"code{rank}") for rank in range(len(nodes))]
while not all(code.exists() for code in codes):
    time.sleep(0.05)
sys.exit(max(int(code.read_text()) for code in codes))
"""


def test_a_command_that_goes_to_other_nodes_by_itself_is_watched_there(home):
    """As srun does: the environment goes along, and nobody of ours is there."""
    needs_machines()
    home.gate(41)
    home.script("torch.py", "__version__ = 'none'")  # what is imported is what tells of a training
    home.script("train.py", f"import torch\n{TRAINER}")
    words = [sys.executable, "train.py", "80", "0", "exit3"]
    task = ("sh", "-c", TASK, "sh", *words)
    here = ["sh", "-c", TASK.split("set", 1)[0], "sh", *words]
    home.script("srun.py", SRUN % [here, machine("gpu1", *task), machine("gpu2", *task)])
    process = home.start("run", "--name", "whole", "--", sys.executable, "srun.py")
    whole = until(lambda: next((c for c in home.cards() if c.monitor is not None and "srun.py" in c.command), None))
    for rank in (1, 2):
        joined(whole, rank, 40)
    home.go_on()
    process.communicate(timeout=60)
    assert process.returncode == 3
    seen = history(whole.session)
    assert {rank: track.segment.host for (_, rank), track in seen.tracks.items()} == {0: "", 1: "gpu1", 2: "gpu2"}
    for rank in range(3):
        assert steps(whole.session, rank) == list(range(1, 81))
    ends = {c.host: c.end["exit"] for c in (until(lambda h=h: ended(home, h)) for h in ("gpu1", "gpu2"))}
    assert ends == {"gpu1": 3, "gpu2": 3}


def ended(home, host) -> Card | None:
    return next((card for card in home.cards() if card.host == host and card.end is not None), None)
