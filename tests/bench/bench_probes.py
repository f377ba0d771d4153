"""Cost of the probes per training step, and of the tools people use for the same (those that are installed).

`OMP_NUM_THREADS=1 python -m tests.bench.bench_probes [SECONDS]` measures every tool on every model in a process of its
own (see measure.py), then what a process pays that imports torch, and whether memory grows. Nothing is asserted.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Any

from .measure import BUDGETS, INTERVAL, OURS
from .peers import PEERS
from .workloads import WORKLOADS

SECONDS = 8.0
FAR = {"nnwatch": "far", "nnwatch-numpy": "far-numpy"}
"""Steps of each that are far from any sample."""
NAMES = {"control": "control", "nnwatch": "nnwatch", "nnwatch-numpy": "nnwatch, no C"}
TRAINER = "lightning"
"""Is compared with its own Trainer."""
NAMES |= {
    "warm": "warm",
    "floor": "nothing, in C",
    "far": "far from samples",
    "far-numpy": "the same, no C",
    TRAINER: "Lightning monitors",
}
NAMES |= {tool: name for tool, (name, _) in PEERS.items()}


def measured(workload: str, tool: str, seconds: float) -> dict[str, float] | None:
    command = [sys.executable, "-m", "tests.bench.measure", workload, tool, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{NAMES[tool]} failed: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def per_step(found: dict[str, float], every: float) -> float:
    """Microseconds that a tool adds to a step on average, at that interval."""
    unsampled = max(found["unsampled"], 0.0)
    return unsampled + (found["sampled"] - unsampled) / every


def at_budget(found: dict[str, float], far: dict[str, float], budget: float) -> str:
    """Share of the step that a tool of ours takes at the interval that it has chosen by itself, by whole steps: what
    the hooks take far from a sample, and what a sample takes in its own step, one in five thoroughly, and in those
    around it. And what its own account says."""
    sampled = (4 * found["sampled"] + found["thorough"]) / 5 - far["unsampled"] + found["around"]
    every, says = found[f"every {budget}"], found[f"reported {budget}"]
    cost = (max(far["unsampled"], 0.0) + max(sampled, 0.0) / every) / found["step"]
    return f"every {every:.0f}: {100 * cost:.2f}% (says {100 * says:.2f}%)"


def table(workload: str, peers: list[str], seconds: float) -> None:
    tools = ["control", "floor", *FAR.values(), *OURS, *peers]
    results = {tool: found for tool in tools if (found := measured(workload, tool, seconds)) is not None}
    step = results["control"]["step"]
    print(f"\n{WORKLOADS[workload][0]}: {step:.0f} us a step")
    print(f"{'':20}{'unsampled':>11}{'sampled':>10}{'of both':>9}{'x ours':>8}{'no C':>8}  default settings")
    for tool, found in results.items():
        line = f"{NAMES[tool]:20}{found['unsampled']:+11.1f}"
        if tool not in (*FAR.values(), "floor"):
            line += f"{found['sampled']:+10.0f}{100 * per_step(found, INTERVAL) / found['step']:8.2f}%"
        for ours in OURS:
            line += f"{found['sampled'] / results[ours]['sampled']:8.1f}" if tool in peers else " " * 8
        if tool in OURS:
            line += "  " + at_budget(found, results[FAR[tool]], BUDGETS[0])
        print(line, flush=True)
    for budget in BUDGETS[1:]:
        print(f"with a budget of {100 * budget:g} %: {at_budget(results['nnwatch'], results[FAR['nnwatch']], budget)}")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    peers = [tool for tool in (*PEERS, TRAINER) if importlib.util.find_spec(tool) is not None]
    print(f"microseconds of the training thread, medians; one step in {INTERVAL} is sampled; x ours: sampled steps")
    for workload in WORKLOADS:
        table(workload, peers, seconds)
    warm: Any = measured("mlp", "warm", 1.0)
    print(f"\nhooks of an unsampled step with warm caches: {warm['c']:.2f} us in C, {warm['python']:.1f} us in Python")


if __name__ == "__main__":
    main()
