"""``probes/STYLES.md``: for every way to train what is had and what is not.

``make styles`` runs every style and writes the page. Each style's own test compares its row with what it has just
seen, so the page cannot say what is not so.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .compare import COLUMNS
from .styles import STYLES, Style, runs

PAGE = Path(__file__).parents[2] / "probes" / "STYLES.md"
_HEAD = """<!-- Made by `make styles` from the tests; not to be edited by hand. -->

# What is had of every way to train

Each row is a script of `tests/styles/scripts`, run by `nnwatch run` as it is. The script keeps its own books (losses,
rates, gradient norms, accuracies, counts), and what nnwatch recorded is compared with them, number by number.

✓ the same was recorded. · the script has nothing of the kind to compare. A number is a note below: not had, and why.
*same bits*: weights and losses are bit for bit those of a run without nnwatch.
"""


def row(style: Style, had: dict[str, bool]) -> str:
    """The style's line of the table; ``had`` says what the script knew and whether it was recorded."""
    cells = []
    for names in COLUMNS.values():
        there = [had[name] for name in names if name in had]
        cells.append("·" if not there else "✓" if all(there) else str(_notes().index(_why(style, names)) + 1))
    return f"| {style.title} | {' | '.join(cells)} |"


def _why(style: Style, names: tuple[str, ...]) -> str:
    return next(style.lacks[name] for name in names if name in style.lacks)


def _notes() -> list[str]:
    """Every reason once, in the order of the styles."""
    return list(dict.fromkeys(why for style in STYLES for why in style.lacks.values()))


def page(rows: list[str]) -> str:
    """The whole page around its rows."""
    lines = [_HEAD, f"| style | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}", *rows, ""]
    return "\n".join([*lines, *(f"{number}. {why}" for number, why in enumerate(_notes(), 1))]) + "\n"


def main() -> int:
    from .running import missing, outcome

    absent = {module for style in STYLES if (module := missing(style))}
    if absent:
        print(f"{', '.join(sorted(absent))}: not installed; pip install -e '.[frameworks]'", file=sys.stderr)
        return 2
    found: dict[str, str] = {}
    for styles in runs():
        try:
            found |= {style.title: row(style, had) for style, had in zip(styles, outcome(styles), strict=True)}
        except (AssertionError, KeyError, StopIteration) as error:
            print(f"{', '.join(style.title for style in styles)}: {error!r}", file=sys.stderr)
    if len(found) < len(STYLES):
        return 1
    rows = [found[style.title] for style in STYLES]
    PAGE.write_text(page(rows), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
