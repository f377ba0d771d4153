"""When a training counts as silent, and what its main thread is said to be doing."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from nnwatch.frame import Block, FieldSpec, Schema, Segment
from nnwatch.history import History
from nnwatch.stall import LEAST, LONGER, STEPS, Silence, waits

from .doors import ASLEEP, until


def trained(seconds):
    """A history of 20 steps of so many seconds, and samples of a machine at 3 % since then."""
    history = History()
    history.apply(Segment(0, 0, 1, 0.0))
    history.apply(Schema(1, "step", [FieldSpec("step.seconds")]))
    history.apply(Schema(2, "system", [FieldSpec("cpu.percent")]))
    steps, values = np.arange(1, 21), np.full(20, seconds, np.float32)
    history.apply(Block(1, 0, 0, 20, steps.tobytes(), (steps * seconds).astype(float).tobytes(), values.tobytes()))
    for time, cpu in ((900.0, 99.0), (1001.0, 3.0), (1100.0, 3.0)):
        one = np.float64(time).tobytes()
        history.apply(Block(2, 0, 0, 1, np.int64(20).tobytes(), one, np.float32(cpu).tobytes()))
    return history


def test_nothing_is_said_before_the_first_step():
    silence = Silence(os.getpid(), 0.0)
    assert silence.look(1e6, 1e6, History()) is None


@pytest.mark.parametrize(("seconds", "allowed"), [(0.1, LEAST), (10.0, STEPS * 10.0)])
def test_it_is_told_once_when_it_is_long_against_the_usual_step(seconds, allowed):
    silence, history = Silence(os.getpid(), 1000.0), trained(seconds)
    assert silence.look(1000.0 + allowed - 1, 1000.0 + allowed - 1, history) is None
    event = silence.look(1000.0 + allowed, 1000.0 + allowed, history)
    assert event is not None
    assert (event.name, event.step, event.segment) == ("stalled", 20, 0)
    assert event.data["seconds"] == allowed
    assert event.data["usual"] == pytest.approx(seconds)
    assert event.data["cpu"] == 3.0, "only samples of the silence count"
    assert silence.look(1e9, 1e9, history) is None, "once"
    silence.heard(1e9, stepping=True)
    assert silence.look(1e9 + 1, 1e9 + 1, history) is None


def test_it_is_told_of_the_rank_that_is_judged():
    history = trained(0.1)
    history.apply(Segment(0, 1, 2, 5.0))  # it began later, and was a step ahead
    steps, values = np.arange(1, 22), np.full(21, 0.1, np.float32)
    history.apply(Block(1, 0, 1, 21, steps.tobytes(), steps.astype(float).tobytes(), values.tobytes()))
    event = Silence(os.getpid(), 0.0).look(1e6, 1e6, history)
    assert event is not None
    assert (event.rank, event.step) == (0, 20)


def test_an_evaluation_of_ten_minutes_is_expected_the_next_time():
    silence, history = Silence(os.getpid(), 0.0), trained(0.1)
    silence.heard(600.0, stepping=True)
    assert silence.look(600.0 + LONGER * 600 - 1, 0.0, history) is None
    assert silence.look(600.0 + LONGER * 600, 0.0, history) is not None


def test_a_slow_start_is_no_measure():
    silence, history = Silence(os.getpid(), 0.0), trained(0.1)
    silence.heard(3600.0, stepping=False)  # compiling, downloading
    assert silence.look(3600.0 + LEAST, 0.0, history) is not None


def test_what_a_process_waits_in_is_said():
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        until(lambda: waits(sleeper.pid) == ASLEEP)
        until(lambda: waits(busy.pid) == "computing")
        busy.send_signal(signal.SIGSTOP)
        until(lambda: waits(busy.pid) == "stopped by a signal")
    finally:
        for process in (sleeper, busy):
            process.kill()
            process.wait()
    assert waits(busy.pid) is None
