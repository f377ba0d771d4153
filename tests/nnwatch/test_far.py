"""Viewers that are far away: over TCP with a token, over ssh, by an overview first and the detail on demand."""

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnwatch import wire
from nnwatch.cli import main
from nnwatch.client import SocketSource
from nnwatch.dial import Ssh, Tcp
from nnwatch.frame import Block, End, Event, FieldSpec, Labels, Schema, Segment
from nnwatch.history import History
from nnwatch.listen import Address, TcpDoor
from nnwatch.tui.feed import Feed
from nnwatch.tui.moment import Moment
from nnwatch.tui.presenter import Presenter

from .doors import NNWATCH, PATIENCE, gone, steps, until
from .test_server import Job, lost

TOKEN = "a-token-of-a-test-only"
LABELS = [f"layer.{i}" for i in range(100)]


@pytest.fixture
def job(tmp_path):
    made = Job(tmp_path)
    yield made
    made.close()


@pytest.fixture
def port(job):
    door = TcpDoor(Address("127.0.0.1", 0), TOKEN)
    with job.lock:
        job.server.listen(door)
    return door.address.port


class Line:
    """A way to a port that can be cut, and counts the bytes that came back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.bytes = 0
        self._open: list[socket.socket] = []
        self._dead: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            self._open += [near, far]
            threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(1 << 14):
                if source in self._dead:
                    continue
                sink.sendall(data)
                self.bytes += len(data) * counted
        except OSError:
            pass

    def die(self) -> None:
        """Nothing comes through any more, and nobody is told."""
        self._dead |= set(self._open)

    def cut(self) -> None:
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


def seen(source: SocketSource, done: Callable[[History], Any], known: History | None = None) -> Any:
    """What the viewer knows (a History) once ``done`` says it is enough."""
    known = known or History()

    def more():
        for frame in source.read():
            known.apply(frame)
        return done(known)

    until(more)
    return known


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


def test_the_token_lets_in_and_anything_else_is_refused_in_one_line(job, port):
    job.grow(3)
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{port}"), token=TOKEN)
    assert len(seen(source, lambda known: len(known.events) == 3).events) == 3
    job.grow(1)
    seen(source, lambda known: len(known.events) == 1)
    source.close()
    for token in ("", TOKEN[:-1], TOKEN + "x", "é" * 20):
        other = SocketSource(Tcp(f"tcp://127.0.0.1:{port}"), token=token)
        assert lost(other).startswith("the token is missing or is another one")
        job.grow(1)
        assert other.read() == []
        other.close()


def test_a_refused_viewer_hears_nothing_that_comes_later(job, port):
    for hello in (wire.Hello([1]), wire.Hello([99], token=TOKEN), wire.Hello([1], run="other", token=TOKEN)):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(wire.pack(hello))
            answer = connection.recv(1 << 16)
            job.grow(50)
            while more := connection.recv(1 << 16):
                answer += more
        message, end = wire.unpack(answer)
        assert isinstance(message, wire.Refused)
        assert end == len(answer)


@pytest.mark.parametrize(
    ("protocols", "older"),
    [([99], "the monitor's is older"), ([0], "this viewer's nnwatch is older"), ([], "viewer none")],
)
def test_protocols_that_do_not_meet_are_told_in_one_line(job, protocols, older):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(job.path))
        connection.sendall(wire.pack(wire.Hello(protocols)))
        answer, _ = wire.unpack(connection.recv(1 << 12))
    assert isinstance(answer, wire.Refused)
    assert older in answer.reason
    assert "\n" not in answer.reason


def test_the_newest_common_protocol_is_taken(job):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(job.path))
        connection.sendall(wire.pack(wire.Hello([*wire.PROTOCOLS, 98, 99])))
        answer, _ = wire.unpack(connection.recv(1 << 12))
    assert isinstance(answer, wire.Welcome)
    assert answer.protocol == max(wire.PROTOCOLS)


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


def test_connections_that_say_nothing_keep_nobody_out(job, port):
    job.grow(3)
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{port}"), token=TOKEN)
    seen(source, lambda known: len(known.events) == 3)
    assert len(job.server._viewers) <= 65
    for connection in idle:
        connection.close()
    source.close()


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


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen", "nowhere"], "no address to listen on"),
        (["--listen", "0.0.0.0:0"], "add --expose"),
        (["--listen", "example.org:80"], "add --expose"),
        (["--expose"], "go with --listen"),
        (["--listen", "0", "--token-file", "missing"], "cannot be read"),
        (["--listen", "0", "--token-file", "short"], "at least 16"),
    ],
)
def test_a_port_that_is_not_meant_so_is_refused(home, monkeypatch, capsys, words, says):
    monkeypatch.chdir(home.folder)
    home.script("short", "abc\n")
    assert main(["run", *words, "trainer.py"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert says in line


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("tcp://", "no address of a run"),
        ("tcp://host", "no address of a run"),
        ("tcp://host:99999", "no address of a run"),
        ("ssh://", "no address of a run"),
        ("ssh://-oProxyCommand=evil/run", "no address of a run"),
        ("ssh://me:password@host/run", "no address of a run"),
        ("tcp://127.0.0.1:1", "refused"),
    ],
)
def test_an_address_that_leads_nowhere_is_told_in_one_line(capsys, run, says):
    assert main(["attach", run]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_a_run_that_listens_is_attached_to_with_the_token_it_made(home):
    home.gate(41)
    process = home.start("run", "--listen", "0", "--name", "far", "trainer.py", "80", "0", "exit4")
    card = until(lambda: (card := home.running(40)).listen and card)
    token = home.job(card) / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    for pid in (card.launcher.pid, card.monitor.pid, card.trainer.pid):
        assert token.read_text() not in Path(f"/proc/{pid}/cmdline").read_text()
        assert token.read_text() not in Path(f"/proc/{pid}/environ").read_text()
    assert token.read_text() not in Path(card.session).with_suffix(".run.json").read_text()
    refused = home.nnwatch("attach", card.listen)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "the token is missing or is another one" in refused.stderr
    source = SocketSource(Tcp(card.listen), token=token.read_text())
    known = seen(source, lambda known: known.last_step == 40)
    os.kill(card.monitor.pid, signal.SIGKILL)  # the next one takes the port over
    seen(source, lambda later: later.commit and later.commit.time > known.commit.time + 0.5)
    source.close()
    viewer = home.start("attach", card.listen, "--token-file", str(token))
    assert viewer.stdout.readline().startswith("far on ")
    home.go_on()
    said, _ = viewer.communicate(timeout=PATIENCE)
    assert "failed with exit code 4, step 80" in said
    _, said = process.communicate(timeout=PATIENCE)
    assert f"far viewers: nnwatch attach {card.listen} --token-file {token}" in said
    assert steps(card.session) == list(range(1, 81))
    until(lambda: not token.exists())


def test_a_line_that_breaks_just_before_the_end_is_waited_for(home):
    home.gate(41)
    process = home.start("run", "--listen", "0", "trainer.py", "80", "0", "exit4")
    card = until(lambda: (card := home.running(40)).listen and card)
    token = (home.job(card) / "token").read_text()
    stayed, left = (SocketSource(Tcp(card.listen), token=token) for _ in range(2))
    known = seen(stayed, lambda known: known.last_step == 40)
    seen(left, lambda known: known.last_step == 40)
    left.close()
    assert stayed._socket is not None
    stayed._socket.shutdown(socket.SHUT_RDWR)
    home.go_on()
    process.communicate(timeout=PATIENCE)
    assert not gone(card.monitor.pid)
    seen(stayed, lambda known: known.end is not None, known)
    assert (known.last_step, known.end.exit) == (80, 4)
    stayed.close()
    until(lambda: gone(card.monitor.pid))


def test_a_token_of_the_environment_is_used_and_not_handed_to_the_training(home):
    home.script("env.py", "import os; print(os.environ.get('NNWATCH_TOKEN'))")
    done = home.nnwatch("run", "--listen", "0", "env.py", env={"NNWATCH_TOKEN": TOKEN})
    assert done.stdout == "None\n"
    assert "--token-file" not in done.stderr.split("far viewers")[1].splitlines()[0]


# The system's ssh


@pytest.fixture
def remote(home, tmp_path, monkeypatch):
    """A nnwatch for the far side, which has the same home; the command that starts it there."""
    exported = "".join(f"export {name}={shlex.quote(home.env[name])}\n" for name in ("XDG_STATE_HOME", "NNWATCH_HOME"))
    path = tmp_path / "nnwatch-there"
    path.write_text(f'#!/bin/sh\n{exported}exec {shlex.join(NNWATCH)} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def sshd(tmp_path, monkeypatch):
    """An ssh server of our own on a port of its own; its address."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh") is None:
        pytest.skip("no sshd on this machine")
    keys = tmp_path / "ssh"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    shutil.copy(keys / "user.pub", keys / "authorized")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lines = [
        f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {keys}/host", f"AuthorizedKeysFile {keys}/authorized",
        "PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no",
    ]  # fmt: skip
    (keys / "sshd_config").write_text("\n".join(lines) + "\n")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it gives up its rights in there
    server = subprocess.Popen([program, "-D", "-e", "-f", keys / "sshd_config"], stderr=subprocess.PIPE)
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"  # the user's configuration, which ssh does not read from $HOME
    options = f"-i {keys}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -F none"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {options} "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def answers():
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    until(answers)
    yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
    server.kill()
    server.communicate()


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """An ssh that runs the command here, as the far machine's shell would, after a login message."""
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(
        '#!/bin/sh\nfor last; do :; done\necho "Welcome to \\367 the cluster"\nSHELL=/bin/sh exec sh -c "$last"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return "ssh://me@far.example"


@pytest.mark.parametrize("way", ["sshd", "stand_in"])
def test_a_run_is_followed_over_ssh_and_found_again_when_it_breaks_off(home, remote, way, request):
    address = request.getfixturevalue(way)
    home.gate(41)
    process = home.start("run", "--name", "my run", "trainer.py", "90", "0", "exit4")
    card = home.running(40)
    dial = Ssh(f"{address}/my%20run", remote)
    source = SocketSource(dial)
    source.connect()
    known = seen(source, lambda known: known.last_step == 40)
    assert dial._process is not None
    dial._process.kill()
    home.go_on()
    seen(source, lambda known: known.end, known)
    assert list(known.tracks[0, 0]["loss.train"].steps) == list(range(1, 91))
    assert known.end.exit == 4
    source.close()
    process.communicate()
    # It is over: its file is shown in the same way.
    done = home.nnwatch("attach", f"{address}/{card.id}", "--remote", remote, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stderr) == (0, "")
    assert "failed with exit code 4, step 90" in done.stdout


@pytest.mark.parametrize("way", ["sshd", "stand_in"])
def test_what_ssh_or_the_far_nnwatch_has_to_say_is_the_reason(home, remote, way, request, capsys):
    address = request.getfixturevalue(way)
    assert main(["attach", f"{address}/nothing", "--remote", remote]) == 2
    assert "no run is called 'nothing'" in capsys.readouterr().err
    assert main(["attach", f"{address}/nothing", "--remote", "/no/such/nnwatch"]) == 2
    assert "/no/such/nnwatch" in capsys.readouterr().err


def test_an_ssh_that_is_not_there_is_told(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["attach", "ssh://host/run"]) == 2
    assert "ssh cannot be started" in capsys.readouterr().err
