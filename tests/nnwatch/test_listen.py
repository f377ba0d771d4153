"""A run that listens on a port: who is let in, who is refused, and how it ends."""

import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from nnwatch import wire
from nnwatch.cli import main
from nnwatch.client import SocketSource
from nnwatch.dial import Tcp

from .doors import PATIENCE, gone, steps, until
from .serving import TOKEN, lost, seen


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


def test_connections_that_say_nothing_keep_nobody_out(job, port):
    job.grow(3)
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    source = SocketSource(Tcp(f"tcp://127.0.0.1:{port}"), token=TOKEN)
    seen(source, lambda known: len(known.events) == 3)
    assert len(job.server._viewers) <= 65
    for connection in idle:
        connection.close()
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
