"""Small recordings of real runs for the tests of the rules: `python -m tests.zoo.golden` writes ``tests/sessions/``.

Thinned until a file has a few kilobytes: sampled steps beyond the first twenty are kept every tenth step, and numbers
per sample or per bin of a histogram are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nnwatch.frame import Block, Commit, Event, Finding, Frame, Judgement, Schema
from nnwatch.history import unpacked
from nnwatch.metric import METRICS
from nnwatch.session import Reader, Writer

from .catalogue import configurations
from .record import ROOT, session

FOLDER = ROOT / "tests" / "sessions"
CHOSEN = {
    "healthy": "regression/momentum 0.01",
    "nan-in-a-table": "regression/adam + NaN in the table",
    "rate-of-one": "regression/adam + lr 1",
    "rate-of-a-millionth": "finetune/all weights + lr 1e-6",
    "broadcast-targets": "regression/adam + broadcast",
    "head-after-the-optimizer": "finetune/all weights, sgd + head made after the optimizer",
}
DENSE, EVERY = 20, 10
_TOO_WIDE = ("row", "bin")


def thin(frames: Sequence[Frame]) -> Iterator[Frame]:
    """The same session with fewer sampled records and without its widest metrics."""
    schemas: dict[int, Schema] = {}
    for frame in frames:
        match frame:
            case Schema():
                schemas[frame.id] = frame
                fields = [field for field in frame.fields if _kept(field.metric)]
                if fields and frame.name != "system":
                    yield Schema(frame.id, frame.name, fields)
            case Block():
                yield from _thinned(frame, schemas[frame.schema])
            case Event(name="autopsy") | Finding() | Judgement() | Commit():
                pass
            case _:
                yield frame


def _kept(metric: str) -> bool:
    return metric not in METRICS or METRICS[metric].axis not in _TOO_WIDE


def _thinned(block: Block, schema: Schema) -> Iterator[Block]:
    records = unpacked(block, schema)
    if records is None or schema.name == "system":
        return
    steps, times, values = records
    kept = np.ones(len(steps), bool) if schema.name in ("step", "val") else (steps <= DENSE) | (steps % EVERY == 0)
    columns = np.concatenate([np.full(field.width, _kept(field.metric)) for field in schema.fields])
    if kept.any() and columns.any():
        data = np.ascontiguousarray(values[kept][:, columns].T)
        parts = steps[kept].tobytes(), times[kept].tobytes(), data.tobytes()
        yield Block(block.schema, block.segment, block.rank, int(kept.sum()), *parts)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, id in CHOSEN.items():
        reader = Reader(session(configurations()[id]))
        frames = [*thin(reader.read())]
        reader.close()
        path = FOLDER / f"{name}.nnw"
        path.unlink(missing_ok=True)
        writer = Writer(path)
        writer.append(frames, Commit(0.0))
        writer.close()
        print(f"{path.stat().st_size:8,} {path.name}")


if __name__ == "__main__":
    main()
