"""Sessions of short chapters, and everything that can be read out of them."""

import numpy as np

from nnwatch.frame import RETOLD, Block, Commit, Console, Event, FieldSpec, Labels, Run, Schema, Segment
from nnwatch.history import History, Track
from nnwatch.parser import PRELUDE, pieces
from nnwatch.seal import FrameError
from nnwatch.session import Writer

RUN = Run("digits", "id", "host", ["train.py"], "python3", "/home/me", 1e9)
SCHEMAS = [
    Schema(1, "step", [FieldSpec("loss.train"), FieldSpec("lr", 2)]),
    Schema(2, "sample", [FieldSpec("update.ratio", 3, 1)]),
    Schema(3, "sample", [FieldSpec("update.ratio", 3, 1), FieldSpec("act.dead", 2)]),
    Schema(4, "system", [FieldSpec("cpu.percent")]),
]
WIDTHS = {1: 3, 2: 3, 3: 5, 4: 1}


def numbers(schema, first, count, seed=0, segment=0, rank=0):
    rng = np.random.default_rng([schema, first, seed])
    steps = np.arange(first, first + count)
    values = rng.standard_normal((WIDTHS[schema], count)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    return Block(schema, segment, rank, count, steps.tobytes(), (steps * 0.5).tobytes(), values.tobytes())


def flushes(count, seed=0):
    """What a monitor writes: (frames, commit) for each flush."""
    rng = np.random.default_rng(seed)
    step = 1
    yield [RUN, Segment(0, 0, 1, 1e9), Labels(1, ["a", "b", "c"]), *SCHEMAS], Commit(0.0)
    for i in range(count):
        n = int(rng.integers(1, 12))
        frames = [numbers(1, step, n), numbers(2 + int(i > count // 2), step, 1)]
        if i % 4 == 1:
            frames += [Console(float(i), f"epoch {i}\n", step), numbers(4, step, 1)]
        if i % 5 == 2:
            frames += [Event("checkpoint.saved", float(i), step, data={"path": "x.pt"}), numbers(1, step + n, 2, 1)]
            n += 2
        step += n
        yield frames, Commit(float(i), {"1-2.ring": (step, i)})


def write(path, count, seed=0):
    writer = Writer(path)
    for frames, commit in flushes(count, seed):
        writer.append(frames, commit)
    writer.close()
    return path


def picture(frames):
    """Everything that a history knows, for comparison."""
    history = History()
    for frame in frames:
        history.apply(frame)
    tracks: list[tuple[object, Track]] = [*history.tracks.items(), ("system", history.system)]
    series = {
        (key, metric): (one.steps.tolist(), one.times.tolist(), one.values.tobytes(), one.names())
        for key, track in tracks
        for metric, one in track.items()
    }
    return series, history.events, history.console, history.run, history.end, history.commit, history.last_step


def plain(data):
    """The frames of a session as they were written, without what is told again."""
    found = (piece.frame for piece in pieces(data, len(PRELUDE)))
    return [frame for frame in found if frame and not isinstance(frame, (*RETOLD, FrameError))]
