"""Record the run that `nnwatch demo` replays, and leave out what only this machine knows.

python demos/record.py nnwatch/demo.nnw
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from nnwatch.frame import Commit, Frame, Run
from nnwatch.session import Reader, Writer

HERE = Path(__file__).parent
ARGUMENTS = ["--lr", "0.3", "--epochs", "12"]


def anonymous(frame: Frame) -> Frame:
    if isinstance(frame, Run):
        return msgspec.structs.replace(
            frame, host="demo", cwd="~", python="python3", command=["python3", "digits.py", *ARGUMENTS]
        )
    return frame


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "session.nnw"
        run = ["run", "--headless", "--name", "lr-too-high", "--session", str(session), "digits.py", *ARGUMENTS]
        subprocess.run([sys.executable, "-m", "nnwatch", *run], check=True, cwd=HERE)
        frames = Reader(session).read()
    target.unlink(missing_ok=True)
    writer = Writer(target)
    flush: list[Frame] = []
    for frame in frames:
        if isinstance(frame, Commit):
            writer.append(flush, Commit(frame.time))
            flush = []
        else:
            flush.append(anonymous(frame))
    writer.close()
    print(f"{target}: {target.stat().st_size / 1024:.0f} kB, {len(frames)} frames")


if __name__ == "__main__":
    main()
