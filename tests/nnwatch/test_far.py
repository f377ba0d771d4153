"""Viewers that are far away: an overview first and the detail on demand, over lines that break."""

import socket
from typing import Any

import numpy as np

from nnwatch import wire
from nnwatch.client import SocketSource
from nnwatch.dial import Tcp
from nnwatch.frame import Block, End, Event, FieldSpec, Labels, Schema, Segment
from nnwatch.tui.feed import Feed
from nnwatch.tui.moment import Moment
from nnwatch.tui.presenter import Presenter

from .doors import until
from .serving import TOKEN, Line, seen

LABELS = [f"layer.{i}" for i in range(100)]


def train(job, first: int, last: int, metrics: int = 20) -> None:
    """Steps that are recorded in blocks of 10,000; metric i of step s is known from both."""
    for begin in range(first, last + 1, 10_000):
        numbers = np.arange(begin, min(begin + 10_000, last + 1))
        values = np.sin(numbers[None] / 1000 + np.arange(metrics)[:, None]).astype(np.float32)
        block = Block(1, 0, 0, len(numbers), numbers.tobytes(), (numbers * 0.01).tobytes(), values.tobytes())
        job.append([block])


def begin(job, metrics: int = 20) -> None:
    fields = [FieldSpec(f"user.{i}") for i in range(metrics)]
    job.append([Segment(0, 0, 1, 0.0), Labels(1, LABELS), Schema(1, "step", fields)])


def test_an_overview_of_a_million_steps_fits_into_a_second_of_ten_megabit_and_has_the_curve_s_outline(job, port):
    begin(job)
    train(job, 1, 1_000_000)
    spike = np.full((20, 1), 50.0, np.float32)
    step = np.int64(1_000_001).tobytes()
    job.append([Block(1, 0, 0, 1, step, np.float64(1e4).tobytes(), spike.tobytes())])
    train(job, 1_000_002, 1_200_000)
    line = Line(port)
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{line.port}"), token=TOKEN)
    known = seen(source, lambda known: known.last_step == 1_200_000)
    assert line.bytes < 700_000  # at 1,250,000 bytes a second
    track, whole = known.tracks[0, 0], job.history.tracks[0, 0]
    for metric in ("user.0", "user.19"):
        mine, real = track[metric], whole[metric]
        assert (mine.scalar.min(), mine.scalar.max()) == (real.scalar.min(), 50.0)
        assert (mine.steps[0], mine.steps[-1], mine.scalar[-1]) == (1, 1_200_000, real.scalar[-1])
        assert list(mine.steps) == sorted(mine.steps)
        off = np.abs(np.interp(mine.steps, real.steps, real.scalar) - mine.scalar)
        assert np.median(off) < 0.5
    spiked = track["user.3"].steps[track["user.3"].scalar == 50.0]
    assert abs(int(spiked[0]) - 1_000_001) < 2000

    before, pictures = line.bytes, known.replaced
    source.look(0, 0, 500_000, 502_000)
    seen(source, lambda known: known.replaced > pictures, known)
    near = known.tracks[0, 0]["user.0"]
    part = slice(*np.searchsorted(near.steps, [500_000, 502_001]))
    assert list(near.steps[part]) == list(range(500_000, 502_001))
    assert (near.scalar[part] == whole["user.0"].scalar[499_999:502_000]).all()
    assert 100_000 < line.bytes - before < 500_000

    train(job, 1_200_001, 1_200_100)
    seen(source, lambda known: known.last_step == 1_200_100, known)
    assert (known.tracks[0, 0]["user.5"].scalar[-100:] == job.history.tracks[0, 0]["user.5"].scalar[-100:]).all()
    source.close()
    line.close()


def test_what_is_not_finite_is_in_the_overview_and_tables_are_thinned_to_whole_records(job, port):
    begin(job, 1)
    job.append([Schema(2, "sample", [FieldSpec("grad.norm", 100, 1)])])
    loss = np.ones(50_000, np.float32)
    loss[[7_777, 30_000]] = np.nan, np.inf
    numbers = np.arange(1, 50_001)
    job.append([Block(1, 0, 0, 50_000, numbers.tobytes(), numbers.astype(float).tobytes(), loss.tobytes())])
    table = np.arange(100 * 9_000, dtype=np.float32).reshape(100, 9_000)
    numbers = np.arange(1, 9_001) * 5
    job.append([Block(2, 0, 0, 9_000, numbers.tobytes(), numbers.astype(float).tobytes(), table.tobytes())])
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{port}"), token=TOKEN)
    track = seen(source, lambda known: known.commit).tracks[0, 0]
    values = track["user.0"].scalar
    assert (np.isnan(values).sum(), np.isinf(values).sum()) == (1, 1)
    rows = track["grad.norm"]
    assert rows.names() == LABELS
    assert 64 < len(rows) < 9_000
    assert (rows.values == table.T[rows.steps // 5 - 1]).all()
    source.close()


def test_a_screen_that_zooms_asks_for_the_detail_and_draws_it(job, port):
    begin(job)
    train(job, 1, 100_000)
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{port}"), token=TOKEN)
    feed = Feed(source)
    presenter = Presenter(feed, Moment(replay=False), "ascii", opened=True)

    def drawn() -> Any:
        track = presenter.view().track
        return None if track is None else presenter.columns.get(track, "user.0")

    def read():
        for frame in source.read():
            feed.history.apply(frame)
        presenter.advance(0.0)
        return len(drawn() or ())

    coarse = until(read)
    presenter.lens.zoom(0.01, 50_000, 1, 100_000)
    fine = until(lambda: (n := read()) > coarse and n)
    real = job.history.tracks[0, 0]["user.0"]
    column = drawn()
    part = slice(*np.searchsorted(column.steps, [49_500, 50_501]))
    assert list(column.values[part]) == list(real.scalar[49_499:50_500])
    assert fine < 100_000
    source.close()


def test_the_rest_of_a_run_is_in_the_overview_as_it_is(job, port):
    begin(job)
    facts = [Event("facts", 1.0, data={"torch": "2"}), Event("facts", 2.0, data={"torch": "3", "device": "cpu"})]
    job.append([*facts, Event("nonfinite", 3.0, 5, data={"origin": "loss"}), End(4.0, "failed", 3)])
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{port}"), token=TOKEN)
    known = seen(source, lambda known: known.end is not None)
    assert known.facts == {(0, 0): {"torch": "3", "device": "cpu"}}
    assert [event.name for event in known.events] == ["nonfinite"]
    assert (known.run.id, known.end.exit) == ("id", 3)
    source.close()


def test_a_line_that_is_cut_goes_on_without_gap_or_duplicate(job, port):
    begin(job)
    train(job, 1, 20_000)
    line = Line(port)
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{line.port}"), token=TOKEN)
    known = seen(source, lambda known: known.last_step == 20_000)
    for last in (20_500, 21_000, 21_500):
        line.cut()
        train(job, known.last_step + 1, last)
        seen(source, lambda known: known.last_step == job.history.last_step, known)
    track = known.tracks[0, 0]["user.0"]
    assert list(track.steps[track.steps > 20_000]) == list(range(20_001, 21_501))
    source.close()
    line.close()


def test_a_line_that_dies_without_a_word_is_dialled_again(job, port, monkeypatch):
    monkeypatch.setattr("nnwatch.client._QUIET", 0.5)
    begin(job)
    train(job, 1, 20_000)
    line = Line(port)
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{line.port}"), token=TOKEN)
    known = seen(source, lambda known: known.last_step == 20_000)
    line.die()
    train(job, 20_001, 20_500)
    seen(source, lambda known: known.last_step == 20_500, known)
    track = known.tracks[0, 0]["user.0"]
    assert list(track.steps[track.steps > 20_000]) == list(range(20_001, 20_501))
    source.close()
    line.close()


def test_a_flood_of_fetches_is_answered_now_and_then(job, port):
    begin(job)
    train(job, 1, 50_000)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(wire.pack(wire.Hello([1], token=TOKEN, overview=1000)))
        connection.recv(1 << 16)
        flood = wire.pack(wire.Fetch(0, 0, 1, 50_000)) + wire.pack(wire.Fetch(9, 9, -(2**63), 2**63 - 1))
        for _ in range(200):
            connection.sendall(flood)
        source = SocketSource(Tcp(f"tcp://127.0.0.1:{port}"), token=TOKEN)
        seen(source, lambda known: known.last_step == 50_000)
        source.close()
