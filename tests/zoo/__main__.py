"""The score of the advisor on the zoo: `make score`, tables in ``results/``.

    python -m tests.zoo [--aside] [--workers 2]

``--aside`` opens the half that no threshold was tuned on; each opening is written down in ``results/openings.txt``.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable
from pathlib import Path

from . import baselines, repair, report, score
from .catalogue import Half, families

RESULTS = Path(__file__).parent / "results"
OPENINGS = RESULTS / "openings.txt"


def opened(names: Collection[str], file: Path = OPENINGS) -> int:
    """Write down that these families were judged as a half set aside; how often that was, this time included."""
    before = file.read_text().splitlines() if file.exists() else []
    count = 1 + sum(not set(names).isdisjoint(line.split()) for line in before)
    file.write_text("".join(f"{line}\n" for line in [*before, f"opening {count}: {' '.join(sorted(names))}"]))
    return count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.zoo", description="Score the advisor on the zoo.")
    parser.add_argument("--aside", action="store_true", help="open the half that no threshold was tuned on")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    half: Half = "aside" if args.aside else "tuning"
    scored = score.judged(half, args.workers)
    if not scored.faulty and not scored.healthy:
        parser.error("nothing of this half is recorded: make zoo records it")
    title = f"python -m tests.zoo{' --aside' if args.aside else ''}"
    if args.aside:
        aside = [name for name, table in families().items() if table["half"] == "aside"]
        title += f"   (opening {opened(aside)} of {', '.join(aside)})"

    def write(name: str, lines: Iterable[str]) -> None:
        text = "\n".join([title, *lines]) + "\n"
        (RESULTS / f"{name}_{half}.txt").write_text(text)
        print(text, flush=True)

    write("score", report.report(scored))
    write("baselines", baselines.report(scored, args.workers))
    write("repair", repair.report(scored.faulty, args.workers))


if __name__ == "__main__":
    main()
