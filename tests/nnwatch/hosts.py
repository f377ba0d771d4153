"""Machines made of namespaces: own processes, host name, shared memory and network; the folders are shared.

They are on one network, whose cables can be pulled, or on none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest

from .doors import NNWATCH

MACHINE = """
hostname $0
mount --make-rprivate /
mount -t tmpfs none /dev/shm
mkdir -p /tmp/nnwatch-$(id -u) && mount -t tmpfs none /tmp/nnwatch-$(id -u)
exec "$@"
"""
_UNSHARE = ["unshare", "--pid", "--uts", "--mount", "--ipc", "--fork", "--kill-child", "--mount-proc"]


def machine(name: str, *words: str, network: str | None = None) -> list[str]:
    """The command that runs ``words`` on a machine of its own, in a ``network`` namespace that is there, or in none."""
    way = ["ip", "netns", "exec", network, *_UNSHARE] if network else [*_UNSHARE, "--net"]
    return [*way, "sh", "-c", MACHINE, name, *words]


def needs_machines() -> None:
    """Skip the test where no namespaces can be made."""
    if shutil.which("ip") is None:
        pytest.skip("no ip (iproute2) on this machine")
    for tried in (machine("host", "true"), ["ip", "netns", "list"]):
        done = subprocess.run(tried, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no namespaces can be made here: {done.stderr.strip()}")


class Hosts:
    """``host1``, ``host2`` ... at 10.77.0.1, 10.77.0.2 ... on one switch."""

    def __init__(self, home: Any, count: int) -> None:
        needs_machines()
        self._home = home
        self._hub = f"nnw{os.getpid()}"
        self._count = count
        self._started: list[subprocess.Popen[str]] = []
        _ip("netns", "add", self._hub)
        _ip("-n", self._hub, "link", "add", "switch", "up", "type", "bridge")
        for number in range(1, count + 1):
            name = self._network(number)
            _ip("netns", "add", name)
            ends = ["link", "add", f"port{number}", "up", "type", "veth", "peer", "name", "eth0", "netns", name]
            _ip("-n", self._hub, *ends)
            _ip("-n", self._hub, "link", "set", f"port{number}", "master", "switch")
            _ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")

    def _network(self, number: int) -> str:
        return f"{self._hub}.{number}"

    def start(self, number: int, *words: object, **env: str) -> subprocess.Popen[str]:
        """``nnwatch WORDS`` on a host."""
        command = machine(f"host{number}", *NNWATCH, *map(str, words), network=self._network(number))
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=self._home.folder, env=self._home.env | env, text=True, **pipes)
        self._started.append(process)
        return process

    def cable(self, number: int, state: str) -> None:
        """``down`` pulls the cable of a host, ``up`` puts it in again."""
        _ip("-n", self._hub, "link", "set", f"port{number}", state)

    def switch_off(self, process: subprocess.Popen[str]) -> None:
        """The host on which it was started."""
        process.kill()
        process.communicate()

    def close(self) -> None:
        """Switch them off: all that runs there is gone at once."""
        for process in self._started:
            self.switch_off(process)
        for number in range(1, self._count + 1):
            _ip("netns", "delete", self._network(number))
        _ip("netns", "delete", self._hub)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
