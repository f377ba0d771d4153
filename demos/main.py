"""`make demo`: watch one faulty and one healthy training of a digit classifier, on real data.

With a terminal each opens the screen (`q` leaves it); without one the findings are printed as they come.
"""

import subprocess
import sys
from pathlib import Path

DIGITS = str(Path(__file__).parent / "digits.py")
RUNS: tuple[tuple[str, list[str], str], ...] = (
    ("digits-lr-0.3", ["--lr", "0.3"], "The faulty run: Adam with a learning rate of 0.3, about 300 times too high."),
    ("digits-healthy", [], "The healthy run: the same script with a learning rate of 0.001."),
)


def main() -> int:
    for name, arguments, story in RUNS:
        command = ["run", "--name", name, DIGITS, *arguments]
        print(f"\n{story}\n  nnwatch {' '.join(command)}\n", flush=True)
        status = subprocess.call([sys.executable, "-m", "nnwatch", *command])
        if 0 < status < 128:  # from 128 on it was stopped from the screen: on to the next
            return status
    print("\nBoth were recorded. See them again:  .venv/bin/nnwatch ls   .venv/bin/nnwatch replay digits-lr-0.3")
    return 0


if __name__ == "__main__":
    sys.exit(main())
