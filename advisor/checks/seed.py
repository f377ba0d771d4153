"""seed."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import some
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether the script sets its seeds, and whether loader workers draw different numbers.

    Why it matters
        Without a seed no run can be repeated. A generator that a data set made for itself is copied into every
        worker: all of them draw the same augmentations.

    How it is decided
        Exact: the seeds that the script set; and data sets or transforms that hold a generator of their own while the
        loader has several workers and no worker_init_fn. torch, numpy and random themselves are seeded apart for each
        worker by torch.

    When it is a false alarm
        Runs over several seeds leave it open on purpose: a missing seed is told, not judged.

    What to do
        torch.manual_seed(0) first; in a data set draw from torch or numpy, or seed the generator in worker_init_fn.
    """
    data = at.experiments.get("data") or {}
    if own := [str(name) for name in data.get("generators") or ()]:
        workers = int(at.facts.get("workers") or 0)
        if workers > 1:
            return Verdict(
                "warn",
                f"{some(own)} is copied into {workers} workers, which then draw the same numbers",
                float(workers),
                1.0,
                f"{own[0]} → torch.randint in __getitem__, or seeded in worker_init_fn with torch.initial_seed()",
                "workers draw different numbers",
            )
    seeds = at.facts.get("seeds") or {}
    if seeds.get("torch") is None:
        return Verdict(
            "info", "torch is not seeded: two runs differ", change="no seed → torch.manual_seed(0) at the top"
        )
    missing = [name for name in ("numpy", "python") if not seeds.get(name)]
    left = f"; {' and '.join(missing)} not" if missing else ""
    return Verdict("pass", f"torch is seeded with {seeds['torch']}{left}")


CHECK = Check("seed", "seeds of the script and its workers", "Note B28. Exact.", judge)
