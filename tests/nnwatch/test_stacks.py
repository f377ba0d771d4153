"""Where ranks are, read from outside; who waits for whom; what `nnwatch stacks` says."""

import json
import subprocess
import sys

import pytest

from nnwatch import stacks
from nnwatch.stacks import Frame

from .doors import history, until

TORCH = "/env/lib/python3.11/site-packages/torch/"
OWN = Frame("prepare", "/home/me/train.py", 9)
COLLECTIVE = [Frame("all_reduce", TORCH + "distributed/distributed_c10d.py", 2500), OWN]
BACKWARD = [Frame("_engine_run_backward", TORCH + "autograd/graph.py", 979), Frame("step", "/home/me/train.py", 13)]
LOADER = [
    Frame("sleep", "/env/lib/python3.11/site-packages/files.py", 3),
    Frame("__getitem__", "/home/me/data.py", 41),
    Frame("fetch", TORCH + "utils/data/_utils/fetch.py", 54),
    Frame("<module>", "/home/me/train.py", 11),
]


def at(**ranks):
    return {
        int(name[1:]): {"waits": stacks.waits(frames), "at": stacks._place(frames)} for name, frames in ranks.items()
    }


@pytest.mark.parametrize(
    ("frames", "waits"),
    [(COLLECTIVE, "collective"), (BACKWARD, "backward"), (LOADER, "data"), ([OWN], "code"), ([], "")],
)
def test_what_a_stack_waits_in(frames, waits):
    assert stacks.waits(frames) == waits


def test_the_one_that_is_in_no_collective_holds_the_others_up():
    assert stacks.said(at(r0=COLLECTIVE, r1=[OWN], r2=BACKWARD)) == (
        "rank 1 is in its own code at train.py:9 in prepare; ranks 0, 2 wait for it"
    )
    assert stacks.said(at(r0=LOADER, r1=COLLECTIVE)) == (
        "rank 0 waits for its data at data.py:41 in __getitem__; rank 1 waits for it"
    )


def test_where_nobody_can_be_named_nobody_is():
    assert "skipped a collective" in stacks.said(at(r0=COLLECTIVE, r1=BACKWARD))
    assert stacks.said(at(r0=[OWN], r1=LOADER)) == "no rank waits for another"
    assert stacks.said(at(r0=[OWN])) == "it is at train.py:9 in prepare"
    assert stacks.said(at(r0=[], r1=[])) == ""


def test_a_process_is_read_from_outside(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import time\ndef prepare():\n    time.sleep(600)\nprint('there', flush=True)\nprepare()\n")
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        looks = (stacks.event(stacks.look({3: process.pid})) for _ in iter(int, 1))
        found = until(lambda: next((event for event in [next(looks)] if "prepare" in event["said"]), None))
    finally:
        process.kill()
        process.communicate()
    one = found["ranks"]["3"]
    assert (one["pid"], one["waits"], one["at"], one["why"]) == (process.pid, "code", "train.py:3 in prepare", "")
    assert [row[0] for row in one["stack"]] == ["prepare", "<module>"]
    gone = stacks.look({0: process.pid})["0"]
    assert (gone["stack"], gone["waits"]) == ([], "")
    assert gone["why"]


def test_a_running_job_is_asked_for_its_stacks(home):
    home.gate(30)
    home.start("run", "--name", "held", "trainer.py", "60", "0", "close")
    card = home.running(20)
    told = json.loads(home.nnwatch("stacks", "held", "--json").stdout)
    assert told["ranks"]["0"]["pid"] == card.trainer.pid
    assert told["said"].startswith("it is at trainer.py:")
    assert "rank 0" in home.nnwatch("stacks", "held").stdout
    home.go_on()
    until(lambda: history(card.session).end)
    assert next(e.data for e in history(card.session).events if e.name == "stacks") == told
    late = home.nnwatch("stacks", "held")
    assert late.returncode == 2
    assert late.stderr == "nnwatch: held is finished: only a running job has stacks; for its end see nnwatch report\n"
