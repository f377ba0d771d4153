"""The socket: every viewer gets every frame once, and none of them can harm the run."""

import os
import signal
import socket
import stat
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnwatch import wire
from nnwatch.client import SocketSource
from nnwatch.dial import Unix
from nnwatch.follow import FileSource
from nnwatch.frame import Event, pack
from nnwatch.listen import UnixDoor
from nnwatch.parser import Parser
from nnwatch.seal import FrameError

from .doors import frames, steps, until
from .serving import Job, lost, numbers


def collect(source, count):
    """Exactly ``count`` frames, however many reads they take."""
    found: list[Any] = []

    def more():
        found.extend(source.read())
        return len(found) >= count

    if count:
        until(more)
    assert len(found) == count
    return found


def read(source, last):
    """Numbers of the events up to ``last``."""
    found: list[int] = []

    def more():
        found.extend(numbers(source.read()))
        return found[-1:] == [last]

    until(more)
    return found


def test_history_then_tail_then_resume_without_gap_or_duplicate(job):
    job.grow(500)
    source = SocketSource(Unix(str(job.path)))
    assert read(source, 500) == list(range(1, 501))
    job.grow(100)
    assert read(source, 600) == list(range(501, 601))
    job.restart()
    job.grow(100)
    assert read(source, 700) == list(range(601, 701))
    assert source.lost is None
    source.close()


@pytest.mark.parametrize("since", [0, 1, 2, 77, 503])
def test_a_viewer_begins_where_it_asks_to(job, since):
    job.grow(500)
    everything = frames(job.session)
    source = SocketSource(Unix(str(job.path)), since)
    found = collect(source, len(everything) - since)
    assert list(map(pack, found)) == list(map(pack, everything[since:]))
    job.grow(1)
    assert numbers(collect(source, 2)) == [501]
    source.close()


def test_what_is_not_there_is_refused_with_a_reason(job):
    source = SocketSource(Unix(str(job.path)), 10_000)
    assert "no frame 10000" in lost(source)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(job.path))
        connection.sendall(wire.pack(wire.Hello([99])))
        answer, _ = wire.unpack(connection.recv(4096))
    assert isinstance(answer, wire.Refused)
    assert "protocol" in answer.reason


def test_a_viewer_that_never_reads_does_not_hold_up_another(job):
    stuck = socket.socket(socket.AF_UNIX)
    stuck.connect(str(job.path))
    stuck.sendall(wire.pack(wire.Hello([*wire.PROTOCOLS])))
    source = SocketSource(Unix(str(job.path)))
    for i in range(1, 21):
        job.grow(1000)
        assert read(source, i * 1000)[-1] == i * 1000
    assert job.server.behind
    source.close()
    stuck.close()


def test_who_is_stuck_half_open_or_silent_is_dropped_after_a_while(job, monkeypatch):
    monkeypatch.setattr("nnwatch.server._STUCK_SECONDS", 0.3)
    monkeypatch.setattr("nnwatch.server._HELLO_SECONDS", 0.3)
    job.grow(20_000)
    files = len(os.listdir("/proc/self/fd"))
    stuck, silent = (socket.socket(socket.AF_UNIX) for _ in range(2))  # nothing more comes from either, no end too
    for connection in (stuck, silent):
        connection.connect(str(job.path))
    stuck.sendall(wire.pack(wire.Hello([*wire.PROTOCOLS])))

    def tended() -> bool:
        with job.lock:
            job.server.tend()
            return not job.server.watched

    until(lambda: len(job.server._viewers) == 2 and job.server.behind)
    until(tended)
    stuck.close()
    silent.close()
    assert len(os.listdir("/proc/self/fd")) == files


def test_nobody_else_may_enter_and_a_removed_socket_is_made_again(job):
    assert stat.S_IMODE(job.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(job.path.parent.stat().st_mode) == 0o700
    job.path.unlink()
    job.server.tend()
    source = SocketSource(Unix(str(job.path)))
    job.grow(3)
    assert read(source, 3) == [1, 2, 3]
    source.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.booleans())
def test_random_bytes_are_survived(tmp_path_factory, chunks, framed):
    job = Job(tmp_path_factory.mktemp("random"))
    try:
        job.grow(5)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(job.path))
            for chunk in chunks:
                try:
                    connection.sendall(pack(Event(chunk.hex(), 0.0)) if framed else chunk)
                except OSError:
                    break
        source = SocketSource(Unix(str(job.path)))
        assert read(source, 5) == [1, 2, 3, 4, 5]
        source.close()
    finally:
        job.close()


@given(st.binary(max_size=200))
def test_greetings_are_greetings_or_errors(data):
    try:
        greeting, _ = wire.unpack(data)
    except (EOFError, FrameError):
        return
    assert isinstance(greeting, wire.Hello | wire.Welcome | wire.Refused | wire.Fetch | wire.Bye)


def test_a_path_too_long_for_a_socket_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="107"):
        UnixDoor(tmp_path / ("x" * 120)).open()


def test_without_a_monitor_the_source_says_so_and_comes_back(job, monkeypatch):
    monkeypatch.setattr("nnwatch.client._PATIENCE", 0.2)
    source = SocketSource(Unix(str(job.path)))
    job.grow(2)
    assert read(source, 2) == [1, 2]
    job.server.close()
    assert "no monitor answers" in lost(source)
    job.server = job._server()
    job.grow(1)
    assert read(source, 3) == [3]
    assert source.lost is None
    source.close()


def test_a_file_is_followed_while_it_grows_and_ends_where_it_ends(job):
    follower, reader = FileSource(job.session, follow=True), FileSource(job.session, follow=False)
    job.grow(300)
    assert read(follower, 300) == read(reader, 300)
    job.grow(1)
    assert read(follower, 301) == [301]
    assert "without the run's end" in lost(reader)
    for source in (follower, reader):
        source.close()


VIEWER = """
import sys, time
from nnwatch.client import SocketSource
from nnwatch.dial import Unix
source = SocketSource(Unix(sys.argv[1]))
while not source.read(): pass
print("sees", flush=True)
time.sleep(60)
"""


def test_viewers_that_are_killed_or_stopped_do_not_touch_the_run(home):
    process = home.start("run", "trainer.py", "250", "0.01", "close")
    card = home.running(3)
    viewers: list[Any] = [
        subprocess.Popen([sys.executable, "-c", VIEWER, card.socket], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for viewer, number in zip(viewers, (signal.SIGKILL, signal.SIGSTOP), strict=True):
        assert viewer.stdout.readline() == "sees\n"
        os.kill(viewer.pid, number)
    source = SocketSource(Unix(card.socket))
    seen = []
    while process.poll() is None:
        seen += source.read()
    everything = frames(card.session)
    seen += collect(source, len(everything) - len(seen))
    assert list(map(pack, seen)) == list(map(pack, everything))
    assert process.returncode == 0
    assert steps(card.session) == list(range(1, 251))
    for viewer in viewers:
        viewer.kill()
        viewer.communicate()
    source.close()


def test_fifty_viewers_see_the_same_and_one_that_reads_drop_by_drop_misses_nothing(job):
    job.grow(200)
    slow = socket.socket(socket.AF_UNIX)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # as small as the kernel allows
    slow.connect(str(job.path))
    slow.sendall(wire.pack(wire.Hello([*wire.PROTOCOLS])))
    viewers = [SocketSource(Unix(str(job.path))) for _ in range(50)]
    for viewer in viewers:
        assert read(viewer, 200) == list(range(1, 201))
    job.grow(2000)
    for viewer in viewers:
        assert read(viewer, 2200) == list(range(201, 2201))
        viewer.close()
    parser, data = Parser(), b""
    found: list[int] = []
    while found[-1:] != [2200]:
        data += slow.recv(3000)
        if not found:
            _, end = wire.unpack(data)
            data = data[end:]
        found += numbers(parser.feed(data)) or [0]
        data = b""
    slow.close()
    assert [number for number in found if number] == list(range(1, 2201))
