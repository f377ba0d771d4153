"""Samples of the machine: the process tree by psutil, GPUs through the real pynvml on a stand-in driver library."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from nnwatch.history import History
from nnwatch.ingest import Ids
from nnwatch.process import Process
from nnwatch.system import System

HERE = Path(__file__).parent

READS_GPUS = """
    import json, os
    from nnwatch.history import History
    from nnwatch.ingest import Ids
    from nnwatch.process import Process
    from nnwatch.system import System

    system, history = System(Process.of(os.getpid()), "/", Ids()), History()
    for frame in [*system.introduce(0.0), system.sample(1.0, 7, 1.0)]:
        history.apply(frame)
    values = {name: [float(v) for v in series.values[0]] for name, series in history.system.items()}
    names = history.system["gpu.percent"].names() if "gpu.percent" in history.system else []
    print(json.dumps({"values": values, "names": names, "fact": history.facts[0, 0]["gpu"]}))
"""


def gpus(**env):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READS_GPUS)],
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("cc") is None, reason="the stand-in driver library needs a C compiler")
def test_gpus_are_read_through_the_real_binding_and_what_a_device_does_not_tell_is_absent(tmp_path):
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "nvml.c"], check=True)
    read = gpus(LD_LIBRARY_PATH=str(tmp_path))
    assert read["names"] == ["Stand-in H100 #0", "Stand-in A100 #1"] == read["fact"]
    values = read["values"]
    assert values["gpu.percent"] == [93, 92]
    assert values["gpu.memory.used"] == [30 * 2**30, 31 * 2**30]
    assert values["gpu.memory.total"] == [80 * 2**30] * 2
    assert values["gpu.temperature"] == [61, 62]
    assert values["gpu.power"][0] == pytest.approx(345.678)
    assert np.isnan(values["gpu.power"][1])
    assert values["gpu.clock"] == [1980, 1880]
    assert values["gpu.throttle"] == [1, 0], "an idle GPU is not throttled"
    assert values["gpu.memory.mine"][0] == 7 * 2**30, "other processes are not counted"
    assert np.isnan(values["gpu.memory.mine"][1])


def test_without_a_driver_the_reason_is_said_and_no_gpu_is_zero(tmp_path):
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"not a library")  # hides a real one
    read = gpus(LD_LIBRARY_PATH=str(tmp_path))
    assert read["fact"] == "no NVIDIA driver"
    assert not any(name.startswith("gpu.") for name in read["values"])


def test_what_the_process_writes_to_disk_is_a_rate_and_the_first_sample_has_none(tmp_path):
    trainer = Process.of(os.getpid())
    assert trainer is not None
    system, history = System(trainer, "/", Ids()), History()
    for frame in [*system.introduce(0.0), system.sample(10.0, 1, 10.0)]:
        history.apply(frame)
    if not hasattr(psutil.Process(), "io_counters"):
        pytest.skip("this system does not count the bytes of a process")
    before = psutil.Process().io_counters().write_bytes
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x" * (8 << 20))
        file.flush()
        os.fsync(file.fileno())
    written = psutil.Process().io_counters().write_bytes - before
    history.apply(system.sample(12.0, 1, 12.0))
    rate = history.system["disk.write"].scalar
    assert np.isnan(rate[0])
    assert rate[1] == pytest.approx(written / 2, rel=0.01, abs=1e4)
    assert history.system["net.sent"].scalar[1] >= 0


def test_the_process_tree_is_counted_whole_and_absent_once_it_is_gone():
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', "
            "'b = bytearray(80 << 20); print(1, flush=True); input()'], stdin=subprocess.PIPE); input(); child.kill()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    trainer = Process.of(parent.pid)
    assert trainer is not None
    system, history = System(trainer, "/", Ids()), History()
    for frame in system.introduce(0.0):
        history.apply(frame)
    history.apply(system.sample(time.time(), 3, time.monotonic()))
    assert history.system["memory.rss"].scalar[0] > 80 << 20, "the child's memory is part of it"
    assert history.system["memory.rss"].steps.tolist() == [3]
    assert history.system["disk.free"].scalar[0] > 0
    parent.communicate("\n")
    history.apply(system.sample(time.time(), 3, time.monotonic()))
    assert np.isnan(history.system["memory.rss"].scalar[-1])
