"""Who sent SIGKILL: the kernel for want of memory, or somebody else. A real cgroup where one can be made."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnwatch.memory import Kills

from .doors import NNWATCH, PATIENCE, history, until


def removed(folder):
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


@pytest.fixture
def cgroup():
    """A memory cgroup below our own that allows 192 MiB."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            base, limits = Path("/sys/fs/cgroup/memory"), ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
        elif not controllers and Path("/sys/fs/cgroup/cgroup.controllers").exists():
            base, limits = Path("/sys/fs/cgroup"), ["memory.max", "memory.swap.max"]
        else:
            continue
        folder = base / path.lstrip("/") / f"nnwatch-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError as error:
            pytest.skip(f"no cgroup can be made here: {error}")
        try:
            for name in limits:
                if (folder / name).exists():
                    (folder / name).write_text(str(192 << 20))
            if not (folder / limits[0]).exists():
                pytest.skip("the memory controller is not handed down to cgroups below ours")
            yield folder
        finally:
            until(functools.partial(removed, folder))  # the monitor leaves a moment after the run
        return
    pytest.skip("no memory cgroup is mounted")


def test_a_kill_for_want_of_memory_is_named_and_loses_no_step(home, cgroup):
    job = subprocess.run(
        [
            "sh",
            "-c",
            f'echo $$ > {cgroup}/cgroup.procs; exec "$@"',
            "sh",
            *NNWATCH,
            "run",
            "trainer.py",
            "300",
            "0",
            "eat",
        ],
        cwd=home.folder,
        env=home.env,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    assert job.returncode == -9
    assert "was ended by SIGKILL (out of memory: the kernel killed it at the limit of 0.188 GiB)" in job.stderr
    seen = history(home.session())
    assert seen.last_step == len(seen.main["loss.train"]) == 300
    assert (seen.end.status, seen.end.signal) == ("killed", 9)
    [crashed] = [finding for finding in seen.findings.values() if finding.rule == "crashed"]
    assert "out of memory" in crashed.why


@pytest.fixture
def folder(tmp_path):
    """A stand-in for /sys/fs/cgroup in which our own process has a cgroup."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            made = tmp_path / path.lstrip("/")
            made.mkdir(parents=True, exist_ok=True)
            return made
    pytest.skip("no unified hierarchy in /proc/self/cgroup")


def events(folder, kills):
    (folder / "memory.events").write_text(f"low 0\nmax 12\noom 3\noom_kill {kills}\noom_group_kill 0\n")


def test_the_counter_of_the_cgroup_tells_who_killed(tmp_path, folder):
    events(folder, 4)
    (folder / "memory.max").write_text("max\n")
    kills = Kills(os.getpid(), tmp_path)
    assert (kills.number, kills.cause(15), kills.cause(None)) == (0, "", "")
    assert kills.cause(9) == "killed by another process: its memory cgroup counts no kill for want of memory"
    events(folder, 5)
    assert kills.cause(9) == "out of memory: the kernel killed it"
    (folder / "memory.max").write_text("3221225472\n")
    assert kills.cause(None) == "out of memory: the kernel killed a process of its memory cgroup at the limit of 3 GiB"


def test_where_the_counter_cannot_be_read_the_cause_is_unknown(tmp_path, folder):
    for kills in (Kills(os.getpid(), tmp_path), Kills(2**22, tmp_path)):
        assert (kills.number, kills.cause(9), kills.cause(None)) == (None, "killed, cause unknown", "")
    events(folder, 1)
    kills = Kills(os.getpid(), tmp_path)
    (folder / "memory.events").write_text("garbage")
    assert kills.cause(9) == "killed, cause unknown"


def test_a_kill_by_somebody_else_is_not_called_out_of_memory(home):
    home.nnwatch("run", "trainer.py", "5", "0", "SIGKILL")
    cause = history(home.session()).end.cause
    assert cause.startswith("killed")
    assert "out of memory" not in cause
    home.nnwatch("run", "--session", "fine.nnw", "--", sys.executable, "trainer.py", "5", "0", "exit3")
    assert history(home.folder / "fine.nnw").end.cause == ""
