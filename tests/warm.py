"""A process that has imported torch, of which scripts run in forks: importing takes longer than most trainings do."""

from __future__ import annotations

import functools
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class Warm:
    """The process, as long as this one lives; one script at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._running: int | None = None

    def start(self, script: str | Path, args: list[str], folder: Path, env: Mapping[str, str] = os.environ) -> int:
        """The script's process id. It runs in ``folder``, where what it prints lies as `stdout` and `stderr`."""
        if self._running is not None:  # a test has failed before it waited
            os.kill(self._running, signal.SIGKILL)
            self.wait()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([str(script), args, str(folder), dict(env)]) + "\n")
        self._process.stdin.flush()
        self._running = self._told()
        return self._running

    def wait(self) -> int:
        """The exit code of the script that was started, or minus the signal it died of."""
        self._running = None
        return self._told()

    def _told(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@functools.cache
def warm() -> Warm:
    """The one of this process."""
    return Warm()


def _serve() -> tuple[str, list[str], str, dict[str, str]]:
    """Start what is asked for; comes back in a fork only, with its job."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            script, args, folder, env = json.loads(line)
            return script, args, folder, env
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    sys.exit()


if __name__ == "__main__":
    import torch._dynamo  # noqa: F401 - an optimizer would import it in each of them

    script, args, folder, env = _serve()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    sys.argv = [script, *args]
    sys.path[:1] = [os.path.dirname(script), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    runpy.run_path(script, run_name="__main__")
