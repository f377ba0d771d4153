"""validation-split."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Whether there are validation data, and enough of them.

    Why it matters
        With 200 samples an accuracy of 90 % is known to four points: smaller differences between runs are noise.

    How it is decided
        The sets that were found, or the validation batches that were seen. Told, not judged.

    When it is a false alarm
        Tasks that have no validation loss (a policy, a generator), and scripts that load it only when it is needed.

    What to do
        Nine to one is a usual split; never tune on the test set.
    """
    train = at.facts.get("train_rows")
    rows = at.facts.get("val_rows")
    train = (at.found.get("train") or {}).get("rows") or train
    held = [at.found[role]["rows"] for role in ("validation", "test") if (at.found.get(role) or {}).get("rows")]
    rows = held[0] if held else rows
    if rows is None:
        return Verdict(
            "info", "no validation data were seen", change="one data set → nine parts training, one validation"
        )
    share = f" beside {train:,} for training ({percent(rows / (rows + train))})" if train else ""
    few = rows < limit["rows"]
    change = f"{rows} validation samples → {limit['rows']:.0f} or more" if few else ""
    return Verdict("info" if few else "pass", f"{rows:,} validation samples{share}", float(rows), limit["rows"], change)


CHECK = Check("validation-split", "validation data of some size", "Note D3.", judge, {"rows": 200})
