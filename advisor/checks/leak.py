"""leak."""

from __future__ import annotations

from collections.abc import Mapping

from ..check import Check, Verdict
from ..finding import Abstain, percent
from ..trials import Trials


def judge(at: Trials, limit: Mapping[str, float]) -> Verdict | None:
    """Samples of validation or test that are training samples as well.

    Why it matters
        What was trained on is predicted well: the number on the validation data promises what the net does not keep.

    How it is decided
        The exact bytes of every sample that was read, hashed (SHA-1): five more agree than five standard errors over
        what duplicates within the training data explain, and 1 % of the validation rows. Every validation row is
        hashed first, then training rows as long as there is time; the coverage is printed. Where the data could not be
        read, fingerprints of what entered the model decide (rule train-val-leak).

    When it is a false alarm
        Few discrete inputs repeat by themselves: their expected number is counted in.

    What to do
        Drop duplicates first, then split by sample, then oversample or augment.
    """
    if not (leaks := (at.experiments.get("data") or {}).get("leaks")):
        try:
            return at.by_rules(("train-val-leak",), "no validation row was seen in training")
        except Abstain:
            raise Abstain("no rows of validation data were seen beside those of training") from None
    role, worst = max(leaks.items(), key=lambda item: float(item[1].get("seen", 0)) / max(1, int(item[1]["rows"])))
    rows, seen, expected = int(worst["rows"]), int(worst["seen"]), float(worst.get("expected", 0))
    coverage = float(worst.get("coverage", 1))
    covered = "" if coverage >= 1 else f"; {percent(coverage)} of the training rows were compared"
    surplus = seen - expected
    if seen < limit["least"] or seen < limit["share"] * rows or surplus <= limit["errors"] * (expected + 1) ** 0.5:
        return Verdict(
            "pass",
            f"{seen} of {rows:,} {role} rows are training rows ({expected:.2g} expected){covered}",
            float(seen),
            expected,
        )
    pairs = ", ".join(f"{role} {a} = train {b}" for a, b in (worst.get("pairs") or ())[:3])
    return Verdict(
        "error",
        f"{seen} of {rows:,} {role} rows ({percent(seen / rows)}) are training rows: {pairs}{covered}",
        seen / rows,
        expected / rows,
        f"{seen} shared rows → none: drop duplicates, then split, then augment",
        f"no {role} row is a training row",
    )


CHECK = Check(
    "leak",
    "validation rows among the training rows",
    "Notes D2, K12. Exact hashes: perceptual ones call 65 % of the digits duplicates, exact ones none.",
    judge,
    {"least": 5, "share": 0.01, "errors": 5},
    follows=("duplicates",),
)
