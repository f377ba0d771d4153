"""Record the run that `nnwatch demo` replays, and leave out what only this machine knows.

python demos/record.py nnwatch/demo.nnw
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ARGUMENTS = ["--lr", "0.3", "--epochs", "12"]


def nnwatch(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "nnwatch", *words], check=True, cwd=HERE)


def main() -> None:
    target = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as folder:
        session, shared = f"{folder}/session.nnw", f"{folder}/{target.name}"
        nnwatch("run", "--headless", "--session", session, "digits.py", *ARGUMENTS)
        nnwatch("export", session, "--share", shared, "--with", "command")
        target.write_bytes(Path(shared).read_bytes())
    print(f"{target}: {target.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
