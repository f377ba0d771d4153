"""Monitors of several nodes: one session of the whole job, whatever breaks on the way."""

import json
import os
import signal
import socket

import pytest

from nnwatch.card import Card
from nnwatch.cli import main
from nnwatch.frame import Event
from nnwatch.runs import resolve

from .doors import frames, free_port, gone, history, steps, until
from .serving import Line

TOKEN = "the-token-of-these-tests"


@pytest.fixture
def port():
    return free_port()


def node(home, port, rank, *trainer, token=TOKEN, **env):
    """The launcher of one node, and the card of its run once there is one."""
    words = ("run", "--join", f"127.0.0.1:{port}", "--name", f"n{rank}", "trainer.py", *trainer)
    process = home.start(*words, env={"NNWATCH_TOKEN": token, "RANK": str(rank)} | env)
    return process, until(lambda: card(home, f"n{rank}"))


def card(home, name) -> Card | None:
    """Of the newest run of that name whose monitor is there."""
    found = [card for card in home.cards() if card.name == name and card.monitor is not None]
    return found[-1] if found else None


def joined(card, rank, count):
    """The session of the first node, once it has so many steps of a rank."""

    def look():
        track = history(card.session).tracks.get((0, rank))
        return track is not None and track.last_step >= count

    return until(look)


def events(session):
    return [frame.data for frame in frames(session) if isinstance(frame, Event) and frame.name == "node"]


def states(session):
    return [event["state"] for event in events(session)]


def ranks_at(home, run):
    """Of each rank its process, the script it is in, and its node where that is another one."""
    told = json.loads(home.nnwatch("stacks", run, "--json").stdout)["ranks"]
    return {rank: (one["pid"], one["at"].split(":")[0], one.get("host", "")) for rank, one in told.items()}


def finish(home, *processes):
    home.go_on()
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said


def test_the_first_session_has_all_ranks_with_their_nodes(home, port):
    home.gate(41)
    first, one = node(home, port, 0, 80, 0, "close")
    second, two = node(home, port, 5, 80, 0, "close")
    joined(one, 5, 40)
    until(lambda: "host.cpu.percent" in history(one.session).machines.get(1, ()))
    places = ranks_at(home, "n0")
    said, _ = finish(home, first, second)
    assert places == {"0": (one.trainer.pid, "trainer.py", ""), "5": (two.trainer.pid, "trainer.py", two.host)}
    seen, own = history(one.session), history(two.session)
    assert sorted(seen.tracks) == [(0, 0), (0, 5)]
    assert sorted(own.tracks) == [(0, 5)]
    segment = seen.tracks[0, 5].segment
    assert (segment.node, segment.host) == (1, two.host)
    assert seen.tracks[0, 0].segment.node == 0
    for metric in ("loss.train", "lr"):
        here, there = seen.tracks[0, 5][metric], own.tracks[0, 5][metric]
        assert list(here.steps) == list(range(1, 81))
        assert list(here.values) == list(there.values)
        assert list(here.times) == list(there.times)
    assert seen.facts[0, 5]["planned_steps"] == 80
    assert states(one.session) == ["joined", "ended"]
    assert states(two.session) == ["joined"]
    assert f"node 1 ({two.host}) has joined; its clock agrees" in said
    assert seen.end.status == "finished"


def whole(one, two, rank, count):
    """The first node's session has all records of a rank of another, each once, as that one's own session has them."""
    assert steps(one.session, rank) == steps(two.session, rank) == list(range(1, count + 1))


def test_a_link_that_breaks_heals_without_gap_or_duplicate(home, port):
    home.gate(241)
    first, one = node(home, port, 0, 300, 0, "close")
    way = Line(port)
    second, two = node(home, way.port, 1, 300, 0.005, "close")
    for count in (20, 120):
        joined(one, 1, count)
        way.cut()
    joined(one, 1, 240)
    finish(home, first, second)
    whole(one, two, 1, 300)
    assert states(two.session)[0] == "joined"
    way.close()


@pytest.mark.parametrize("whose", ["first", "second"])
def test_a_monitor_that_is_killed_goes_on_where_it_was(home, port, whose):
    home.gate(241)
    first, one = node(home, port, 0, 300, 0, "close")
    second, two = node(home, port, 1, 300, 0.005, "close")
    joined(one, 1, 50)
    victim = (one if whose == "first" else two).monitor.pid
    os.kill(victim, signal.SIGKILL)
    until(lambda: gone(victim))
    joined(one, 1, 240)
    finish(home, first, second)
    whole(one, two, 1, 300)
    assert sorted(history(one.session).tracks) == [(0, 0), (0, 1)]
    assert states(one.session).count("joined") == 1


def test_a_wrong_token_is_one_line_and_training_goes_on(home, port):
    home.gate(41)
    first, one = node(home, port, 0, 80, 0, "close")
    second, two = node(home, port, 1, 80, 0, "close", token="another-token-than-theirs")
    until(lambda: states(two.session) == ["refused"])
    _, said = finish(home, first, second)
    [line] = [line for line in said.splitlines() if "first node" in line]
    assert "does not take this node: the token is missing or is another one" in line
    assert sorted(history(one.session).tracks) == [(0, 0)]
    assert steps(two.session, 1) == list(range(1, 81))


def test_a_first_node_that_is_not_there_is_one_line_and_may_come_late(home, port):
    home.gate(41)
    with socket.socket() as taken:  # nobody listens, and none of them can
        taken.bind(("127.0.0.1", port))
        second, two = node(home, port, 1, 80, 0, "close")
        until(lambda: states(two.session) == ["cut"])
    first, one = node(home, port, 0, 80, 0, "close")
    until(lambda: states(two.session) == ["cut", "joined"])
    said = finish(home, first, second)[1]
    assert said.count("does not answer") == 1
    assert "is there again" in said
    whole(one, two, 1, 80)


def test_a_node_that_trains_on_is_named_at_the_end_and_loses_nothing(home, port):
    home.gate(41)
    first, one = node(home, port, 0, 60, 0, "exit3", GATE=f"41:{home.folder / 'first'}")
    second, two = node(home, port, 1, 80, 0, "close")
    joined(one, 1, 40)
    (home.folder / "first").touch()
    said = first.communicate(timeout=60)[1]
    assert first.returncode == 3
    assert f"node 1 ({two.host}) trains on when this run ended: here it is up to step 40" in said
    assert states(one.session) == ["joined", "left"]
    assert f"the rest in its own session, {two.id}" in home.nnwatch("report", one.id).stdout
    finish(home, second)
    assert steps(two.session, 1) == list(range(1, 81))
    assert history(two.session).end.status == "finished"


def slurm(home, tasks, **env):
    """Launchers of one Slurm step, each on a node of its own as far as Slurm says."""
    step = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_NODES": str(len(tasks))}
    return [
        home.start("run", "--name", "step", *task, env=step | {"SLURM_NODEID": str(rank), "RANK": str(rank)} | env)
        for rank, task in enumerate(tasks)
    ]


def told_first(card):
    """Which run a further node takes for the first one, None as long as it knows of none."""
    found = [event["run"] for event in events(card.session) if event["node"] == 0]
    return found[-1] if found else None


def of_node(home, number):
    return until(lambda: next((c for c in home.cards() if c.node == number and c.monitor is not None), None))


def test_nodes_of_a_slurm_step_find_each_other_in_the_shared_folder_alone(home, capsys, monkeypatch):
    home.gate(241)
    started = slurm(home, [("trainer.py", 300, 0, "close")] * 3)
    cards = [of_node(home, number) for number in range(3)]
    for rank in (1, 2):
        joined(cards[0], rank, 240)
        until(lambda rank=rank: told_first(cards[rank]) == cards[0].id)  # it looks for the first every few seconds
    places = ranks_at(home, cards[0].id)
    assert [places[rank][0] for rank in "012"] == [card.trainer.pid for card in cards]
    os.kill(cards[0].monitor.pid, signal.SIGKILL)
    finish(home, *started)
    for rank in (1, 2):
        whole(cards[0], cards[rank], rank, 300)
        assert told_first(cards[rank]) == cards[0].id
    assert sorted(states(cards[0].session)) == ["ended", "ended", "joined", "joined"]
    for name in ("XDG_STATE_HOME", "NNWATCH_HOME"):
        monkeypatch.setenv(name, home.env[name])
    assert main(["ls"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(cards[0].id)
    assert line.endswith("3 nodes")
    assert resolve("step").id == resolve(None).id == cards[0].id
    assert resolve(cards[2].id).id == cards[2].id
