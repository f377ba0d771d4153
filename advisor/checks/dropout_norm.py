"""dropout-norm."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import some
from ..place import of_layer
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Dropout in front of BatchNorm.

    Why it matters
        Dropout changes the variance in training and not in evaluation: the statistics that BatchNorm keeps are then
        those of another net (Li et al. 2019).

    How it is decided
        Exact: within one parent, a BatchNorm layer that comes after a dropout layer that drops anything. Told.

    When it is a false alarm
        Where they lie in different branches.

    What to do
        Dropout behind the last BatchNorm only.
    """
    rates = {str(name): float(p) for name, p in at.facts.get("dropout") or ()}
    rows = [(str(row[0]), str(row[1])) for row in at.facts.get("modules") or ()]
    norms = [i for i, (_, kind) in enumerate(rows) if kind.startswith("BatchNorm")]
    drops = [i for i, (name, _) in enumerate(rows) if rates.get(name)]
    if not norms or not drops:
        return None
    parent = [name.rpartition(".")[0] for name, _ in rows]
    behind = [rows[i][0] for i in norms if any(j < i and parent[j] == parent[i] for j in drops)]
    if not behind:
        return Verdict("pass", "no BatchNorm comes after dropout", 0.0, 0.0)
    return Verdict(
        "info",
        f"{some(behind)} come after dropout in the same block",
        float(len(behind)),
        0.0,
        f"dropout in front of {behind[0]}{of_layer(at, behind[0])} → behind the last BatchNorm",
        "the loss in evaluation mode is that of training",
    )


CHECK = Check("dropout-norm", "dropout behind BatchNorm", "Note T32; Li et al. 2019.", judge)
