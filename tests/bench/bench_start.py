"""What watching costs besides the steps: ``python -m tests.bench.bench_start [STEPS]``.

CPU of a Python process that does nothing, with the boot folder first on its path and without; CPU of putting the
probes on torch, and of what the first module that is made loads; and memory, objects and threads of a training of
100,000 steps.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from ..probes.growth import GROWTH
from ..probes.harness import environment, make_boot, run

PAIRS = 25
STEPS = 100_000
INSTALL = """
import json, sys, time
import torch
began = time.process_time()
from nnwatch.probes import install
imported = time.process_time()
install({"rings": [sys.argv[1]], "ring_bytes": 1 << 20, "budget": 0.01})
installed = time.process_time()
torch.nn.Identity()
print(json.dumps([imported - began, installed - imported, time.process_time() - installed]))
"""


def cpu(code: str, path: Path | None) -> float:
    """Seconds of user and system time."""
    child = subprocess.Popen([sys.executable, "-c", code], env=environment(path))
    used = os.wait4(child.pid, 0)[2]
    child.returncode = 0
    return used.ru_utime + used.ru_stime


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else STEPS
    with tempfile.TemporaryDirectory() as folder:
        boot = make_boot(Path(folder))
        added = median(cpu("pass", boot) - cpu("pass", None) for _ in range(PAIRS))
        print(f"a process that does not import torch: {1000 * added:+.1f} ms CPU")
        found = []
        for _ in range(5):
            command = [sys.executable, "-c", INSTALL, folder]
            found.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
        imported, installed, loaded = (1000 * median(column) for column in zip(*found, strict=True))
        print(f"one that does: {imported:.1f} ms for the patches' modules, {installed:.1f} ms to put them on torch")
        print(f"one that makes a model: {loaded:.1f} ms more for all that understands them")
    first, *_, last = run(GROWTH, args=(str(steps), "10"), ring_bytes=256 << 10, timeout=1200).printed()
    print(f"{steps} steps, from the first tenth to the last: {(last['rss'] - first['rss']) / 1e6:+.1f} MB resident,")
    print(f"{last['objects'] - first['objects']:+d} Python objects, {last['threads']} thread(s)")


if __name__ == "__main__":
    main()
