"""What joining rests on: which nodes belong together, clocks, numbers of segments, files that are cut off."""

import selectors
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnwatch import wire
from nnwatch.card import Card, card_path, together
from nnwatch.frame import Block as Records
from nnwatch.frame import Commit, Console, Event, FieldSpec, Frame, Labels, Run, Schema, Segment, pack
from nnwatch.history import MACHINE, History
from nnwatch.ingest import Ids
from nnwatch.listen import Address, TcpDoor
from nnwatch.nodes.adopt import Adopter
from nnwatch.nodes.clock import Clock, measured
from nnwatch.nodes.first import First
from nnwatch.nodes.folder import Folder
from nnwatch.nodes.group import place
from nnwatch.nodes.line import START
from nnwatch.nodes.tail import Tail
from nnwatch.recorder import Recorder
from nnwatch.session import Writer

from .doors import until
from .serving import Job

TORCHRUN = ("torchrun", "--nnodes", "2", "--rdzv_id=a", "--rdzv-endpoint", "n1:29500", "train.py")


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_STEP_ID", "MASTER_ADDR", "NODE_RANK", "GROUP_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (TORCHRUN, TORCHRUN, True),
        (TORCHRUN, (*TORCHRUN[:3], "--rdzv-id", "b", *TORCHRUN[4:]), False),
        (("torchrun", "--nnodes=1", *TORCHRUN[3:]), ("torchrun", "--nnodes=1", *TORCHRUN[3:]), False),
        (("python", "train.py"), ("python", "train.py"), False),
    ],
)
def test_the_nodes_of_a_torchrun_are_those_of_one_rendezvous(one, other, same):
    assert (place(one).job == place(other).job != "") is same


def test_a_node_is_numbered_as_its_launcher_does(monkeypatch):
    accelerate = [
        "accelerate",
        "launch",
        "--num_machines",
        "4",
        "--main_process_ip",
        "n1",
        "--machine_rank",
        "3",
        "x.py",
    ]
    assert place(accelerate).node == 3
    assert place(accelerate).job
    assert place(["torchrun", "--nnodes=2", "--master-addr=n1", "--node-rank=1", "x.py"]).node == 1


def test_the_nodes_of_a_slurm_step_are_those_of_one_command(monkeypatch):
    for name, value in {"JOB_ID": "7", "STEP_ID": "0", "STEP_NUM_NODES": "2", "NODEID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    here = place(["python", "a.py"])
    assert here.node == 1
    assert here.job == place(["python", "a.py"]).job != place(["python", "b.py"]).job
    first, second = (place(["torchrun", "--node_rank", rank, f"--local-addr=n{rank}", "a.py"]) for rank in "01")
    assert first.job == second.job != place(["torchrun", "--node_rank", "1", "b.py"]).job
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "1")
    assert place(["python", "a.py"]).job == ""


def test_a_rank_that_watches_itself_knows_its_job(monkeypatch):
    told = {"MASTER_ADDR": "n1", "MASTER_PORT": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert place(()).node == 1
    assert place(()).job
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert place(()).job == ""


def card(started: float = 100.0, group: str = "g", **known: Any) -> Card:
    return Card("id", "n", "n.nnw", [], "/", started, group=group, **known)


def test_a_run_that_was_over_before_is_another_job():
    end = {"time": 99.0}
    assert together(card(), card(started=150.0))
    assert not together(card(), card(group="h"))
    assert not together(card(), card(started=50.0, end=end))
    assert not together(card(), card(started=10.0, latest={"time": 30.0}))
    assert together(card(), card(started=10.0, latest={"time": 90.0}))


def test_a_clock_is_off_by_what_the_way_cannot_explain():
    assert measured(10.0, 10.2, 10.5) == Clock(0.0, 0.25)
    assert measured(10.0, 13.25, 10.5) == Clock(3.0, 0.25)
    assert measured(10.0, 7.25, 10.5) == Clock(-3.0, 0.25)
    assert Clock(3.0, 0.25).told() == "its clock is 3 s ahead (within 250 ms)"


def taken(adopter: Adopter, *told: Frame) -> list[Any]:
    return [frame for one in told for frame in adopter.take(one)]


def segment(number, rank, time, pid=1):
    return Segment(number, rank, pid, time)


def test_ranks_of_one_launch_meet_in_one_segment_and_a_late_node_in_the_next():
    ids = Ids()
    near = Adopter(1, "b", 90.0, 0.0, ids)
    late = Adopter(2, "c", 200.0, 0.0, ids)
    ids.segment({"rank": 0, "segment": 0, "time": 100.0, "first_step": 0}, 1)
    [one] = taken(near, segment(0, 1, 100.1))
    assert (one.segment, one.rank, one.node, one.host) == (0, 1, 1, "b")
    [again] = taken(near, segment(1, 1, 220.0, pid=2))  # all start again when the third comes
    [two] = taken(late, segment(0, 2, 219.9))
    assert (again.segment, two.segment) == (1, 1)
    assert ids.segment({"rank": 0, "segment": 0, "time": 220.2, "first_step": 0}, 9)[0] == 1


def test_what_is_told_again_after_a_restart_arrives_at_the_same_numbers():
    told = Labels(1, ["a"]), Schema(1, "step", [FieldSpec("loss.train", 1, 1)]), segment(0, 3, 105.0)
    known = Ids()
    for frame in taken(Adopter(1, "b", 90.0, 5.0, Ids()), *told):
        known.learn(frame)
    again = Adopter(1, "b", 90.0, 5.0, known)
    assert taken(again, *told) == []
    block = Records(1, 0, 3, 1, b"\1" + bytes(7), np.float64(107.0).tobytes(), bytes(4))
    [moved] = taken(again, block)
    assert moved.times == np.float64(102.0).tobytes()


def test_samples_of_its_machine_and_what_it_printed_are_told_as_the_node_s():
    adopter = Adopter(3, "c", 90.0, 5.0, Ids())
    sample = Records(4, 0, 0, 1, bytes(8), np.float64(107.0).tobytes(), bytes(4))
    told = taken(adopter, Schema(4, "system", [FieldSpec("cpu.percent")]), sample, Console(108.0, "epoch 1\n", 7))
    assert told[0].name == MACHINE
    assert (told[1].schema, told[1].segment, told[1].rank) == (told[0].id, -1, 3)
    assert told[2] == Console(103.0, "epoch 1\n", 7, 3)
    seen = History()
    for frame in told:
        seen.apply(frame)
    assert list(seen.machines[3]["cpu.percent"].times) == [102.0]
    assert not seen.system
    assert (seen.console, seen.consoles[3]) == ([], [told[2]])


def notice(text):
    return Event("notice", 1.0, data={"text": text})


def texts(frames):
    return [frame.data["text"] for frame in frames if isinstance(frame, Event)]


def test_of_a_file_only_what_is_committed_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("nnwatch.nodes.tail._EVERY", 0.0)
    path = tmp_path / "a.nnw"
    writer = Writer(path)
    writer.append([Run("a", "id", "h", [], "", "", 0.0), notice("one")], Commit(1.0))
    tail = Tail("run", str(path), START)
    assert texts(tail.take()) == ["one"]
    whole = path.read_bytes()
    with path.open("ab") as file:  # a monitor dies amid a flush, and the next one cuts that off
        file.write(whole[-200:-60])
    assert tail.take() == []
    Writer(path, resume=True).append([notice("two")], Commit(2.0))
    assert texts(tail.take()) == ["two"]
    assert tail.cursor == (5, path.stat().st_size)
    later = Tail("run", str(path), tail.cursor)
    writer = Writer(path, resume=True)
    writer.append([notice("three")], Commit(3.0))
    assert texts(later.take()) == ["three"]
    path.unlink()
    assert later.take() == []


class Monitor:
    """The first node's, as far as it has to do with others, which the test plays."""

    def __init__(self, folder: Path) -> None:
        made = Card("id", "a", str(folder / "a.nnw"), [], "/", time.time())
        self.recorder = Recorder(folder, made, lambda frame, again: None)
        self.recorder.write(time.time(), {}, 0)
        self.ready = selectors.DefaultSelector()
        self.first = First(self.recorder, self.ready, None)
        self.frames: list[Any] = []

    def join(self, **said: Any) -> tuple[str, socket.socket]:
        near, far = socket.socketpair()
        known: dict[str, Any] = {"protocols": [1], "run": "other", "host": "h\x1b2", "started": time.time()}
        join = wire.Join(**(known | said))
        return self.first.join(near, join), far

    def turn(self) -> list[Any]:
        for key, mask in self.ready.select(0.01):
            key.data(mask)
        self.frames += self.first.read(time.time())
        return self.frames


@pytest.fixture
def first(tmp_path):
    return Monitor(tmp_path)


def test_a_node_whose_clock_is_ahead_is_set_right(first):
    refused, node = first.join()
    assert refused == ""
    hello, _ = wire.unpack(node.recv(4096))
    assert isinstance(hello, wire.Hello)
    assert (hello.since, hello.run, hello.names) == (0, "other", False)
    now = time.time()
    node.sendall(wire.pack(wire.Welcome(1, "other", time=now + 100.0)))
    for frame in (segment(0, 4, now + 101.0), Event("facts", now + 102.0, 0, 0, 4, {"torch": "2"}), Commit(now)):
        node.sendall(pack(frame))
    until(lambda: len(first.turn()) == 3)
    joined, opened, facts = first.frames
    assert joined.data["text"].startswith("node 1 (h?2) has joined; its clock is 100 s ahead (within ")
    assert opened.time == pytest.approx(now + 1.0, abs=0.5)
    assert facts.time - opened.time == pytest.approx(1.0)
    assert first.first.cursors["node:other"][0] == 3
    node.close()


def laid(folder: Path, id: str, started: float, node: int = 0) -> Card:
    """The card of a node of one job and its session, in the shared folder."""
    made = Card(id, "n", str(folder / f"{id}.nnw"), [], "/", started, group="g", node=node)
    made.save(card_path(Path(made.session)))
    Writer(Path(made.session)).append([Run("n", id, "h", [], "", "", started)], Commit(started))
    return made


def test_a_node_lets_the_others_go_when_the_first_one_comes_late(first, tmp_path, monkeypatch):
    monkeypatch.setattr("nnwatch.nodes.folder._EVERY", 0.0)
    monkeypatch.setattr("nnwatch.nodes.tail._EVERY", 0.0)
    own = laid(tmp_path, "own", 100.0)
    laid(tmp_path, "other", 101.0)
    role = First(first.recorder, first.ready, Folder(own))
    joined: list[Any] = list(role.read(102.0))
    assert [event.data["run"] for event in joined] == ["other"]
    assert list(role.cursors) == ["node:other"]
    laid(tmp_path, "late", 99.0)
    told: list[Any] = list(role.read(103.0))
    assert [(event.data["node"], event.data["run"]) for event in told] == [(0, "late")]
    assert not role.cursors
    assert not list(role.read(104.0))


def test_a_node_with_a_number_waits_for_the_lower_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("nnwatch.nodes.folder._EVERY", 0.0)
    folder = Folder(laid(tmp_path, "one", 100.0, node=1))
    laid(tmp_path, "two", 101.0, node=2)
    assert folder.others() == []
    monkeypatch.setattr("nnwatch.nodes.folder._PATIENCE", 0.0)
    assert [card.id for card in folder.others()] == ["two"]


def test_a_first_node_does_not_join_itself(first):
    refused, _ = first.join(run="id")
    assert "does not join itself" in refused


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", wire.pack(wire.Refused("no")), b""])
def test_a_node_that_answers_nonsense_is_left(first, answer):
    _, node = first.join()
    node.sendall(answer)
    node.close()
    until(lambda: not first.turn() and not first.first._nodes["other"].present)
    assert first.frames == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"protocols": [99], "token": "x" * 16}, "no protocol in common"),
        ({"token": "y" * 16}, "the token is missing or is another one"),
        ({}, "the token is missing or is another one"),
        ({"token": "x" * 16}, "it is no first node"),
    ],
)
def test_a_node_that_may_not_join_is_told_why(tmp_path, said, why):
    job, door = Job(tmp_path), TcpDoor(Address("127.0.0.1", 0), "x" * 16)
    with job.lock:
        job.server.listen(door)
    with socket.create_connection(("127.0.0.1", door.address.port)) as node:
        known: dict[str, Any] = {"protocols": [1], "run": "other", "host": "h", "started": 0.0}
        node.sendall(wire.pack(wire.Join(**(known | said))))
        answer, _ = wire.unpack(node.makefile("rb").read())
    job.close()
    assert isinstance(answer, wire.Refused)
    assert why in answer.reason
