"""The numbers of a long run take disk, not memory, and are the same numbers."""

import functools
import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnwatch import scratch
from nnwatch.advisor.engine import Advisor
from nnwatch.frame import Block, Commit, FieldSpec, Finding, Judgement, Schema, Segment
from nnwatch.history import History
from nnwatch.session import Reader

from .doors import frames, history, until

SESSIONS = Path(__file__).parents[1] / "sessions"

GROWS = """
import sys, time
import numpy as np
from pathlib import Path
from nnwatch import heap, scratch
from nnwatch.frame import Block, Commit, FieldSpec, Finding, Judgement, Schema, Segment
from nnwatch.history import History

def resident(what):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) << 10

heap.keep_none()
scratch._REST_EVERY = 0.0
history = History()
history.apply(Segment(0, 0, 1, 0.0))
history.apply(Schema(1, "step", [FieldSpec(f"user.m{i}") for i in range(20)]))
values = bytes(20 * 500 * 4)
for first in range(0, 600_000, 500):
    if first == 300_000:
        before = resident("RssAnon"), resident("VmRSS")
    steps = np.arange(first, first + 500)
    history.apply(Block(1, 0, 0, 500, steps.tobytes(), steps.astype(float).tobytes(), values))
    history.apply(Commit(0.0))
print(resident("RssAnon") - before[0], resident("VmRSS") - before[1])
"""


@pytest.fixture
def small(monkeypatch):
    """Every array lies in the file."""
    monkeypatch.setattr(scratch, "_FROM", 0)


def held() -> int:
    """Bytes that the file takes of the disk."""
    file = scratch._scratch()
    assert file is not None
    gc.collect()
    return 512 * os.fstat(file._file.fileno()).st_blocks


def test_the_memory_of_a_history_does_not_grow_with_the_run():
    done = subprocess.run([sys.executable, "-c", GROWS], capture_output=True, text=True, check=True)
    own, all_of_it = map(int, done.stdout.split())
    assert own < 2 << 20  # of 29 MB
    assert all_of_it < 4 << 20


def grown(records: int) -> History:
    history = History()
    history.apply(Segment(0, 0, 1, 0.0))
    history.apply(Schema(1, "step", [FieldSpec("loss.train"), FieldSpec("update.ratio", 3)]))
    for first in range(0, records, 97):
        steps = np.arange(first, first + 97)
        values = np.stack([(steps * factor % 1009).astype(np.float32) for factor in (1, 3, 5, 7)])
        history.apply(Block(1, 0, 0, 97, steps.tobytes(), (steps / 8).tobytes(), values.tobytes()))
        history.apply(Commit(0.0))
    return history


def test_the_numbers_are_the_same(small, monkeypatch):
    in_the_file = grown(5000)
    monkeypatch.setattr(scratch, "_FROM", 1 << 60)
    in_memory = grown(5000)
    assert in_the_file.main is not None
    assert in_memory.main is not None
    for metric, series in in_the_file.main.items():
        other = in_memory.main[metric]
        assert series.values.base is not None
        assert not series.values.flags.owndata
        for column in ("steps", "times", "values"):
            np.testing.assert_array_equal(getattr(series, column), getattr(other, column))


@pytest.mark.parametrize("name", ["nan-in-a-table", "healthy"])
def test_so_are_the_findings(name, small, monkeypatch):
    def judged() -> list[object]:
        history = History()
        for frame in Reader(SESSIONS / f"{name}.nnw").read():
            history.apply(frame)
        history.finding_log, history.judgements = [], []
        return list(Advisor().judge(history))

    in_the_file = judged()
    monkeypatch.setattr(scratch, "_FROM", 1 << 60)
    assert in_the_file == judged()
    assert in_the_file


def test_a_long_run_is_judged_from_its_file_as_it_was_live(home):
    """Its columns grew out of memory while it ran, flush by flush; read back they come by the chapter."""
    env = {"NAN": "140000", "RING": str(32 << 20)}
    done = home.nnwatch("run", "trainer.py", "150000", "0", "close", env=env)
    assert done.returncode == 0
    live, again = history(home.session()), History()
    assert live.main is not None
    assert len(live.main["loss.train"]) == 150_000
    assert not live.main["loss.train"].steps.flags.owndata
    for frame in frames(home.session()):
        if not isinstance(frame, Finding | Judgement):
            again.apply(frame)
    for frame in Advisor().judge(again):
        again.apply(frame)
    assert [finding.rule for finding in live.finding_log]
    assert again.finding_log == live.finding_log
    assert again.judgements == live.judgements


def test_the_place_of_an_array_is_free_when_nobody_looks_at_it(small):
    another = scratch.array((8,), np.int64)
    before = held()
    whole = scratch.array((1000, 100), np.float64)
    whole[:] = 1.0
    assert held() >= before + 800_000
    part = whole[5:7].T[2]
    del whole
    assert held() >= before + 800_000
    assert part.tolist() == [1.0, 1.0]
    del part
    until(lambda: held() < before + 400_000)  # the file system may keep some for a while
    assert len(another) == 8


def test_what_was_let_go_of_is_found_again(small):
    numbers = scratch.array((100_000,), np.int64)
    numbers[:] = np.arange(100_000)
    file = scratch._scratch()
    assert file is not None
    file._rested = 0.0
    scratch.rest()
    assert file._rested > 0.0
    assert int(numbers.sum()) == 100_000 * 99_999 // 2


def test_without_room_on_the_disk_an_array_is_in_memory(small, monkeypatch):
    monkeypatch.setattr(scratch, "_SPARE", 1 << 62)
    before = held()
    numbers = scratch.array((100_000,), np.float32)
    numbers[:] = 1.5
    assert held() <= before
    assert numbers.sum() == 150_000


def test_where_there_can_be_no_file_arrays_are_in_memory(small, monkeypatch):
    monkeypatch.setattr(scratch, "_scratch", functools.cache(scratch._scratch.__wrapped__))
    monkeypatch.delattr(os, "posix_fallocate")
    numbers = scratch.array((100_000,), np.float32)
    assert numbers.flags.owndata
    scratch.rest()
    assert scratch._scratch() is None


def test_nothing_is_left_behind_however_the_process_ends(tmp_path):
    code = (
        "import os, signal, numpy; from nnwatch import scratch; a = scratch.array((1 << 20,), numpy.float32);"
        "a[:] = 1; assert a.base is not None; os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)})
    assert done.returncode == -9
    assert not list(tmp_path.iterdir())
