"""Messages of findings: whom they reach, how often, and that a dead endpoint costs the run nothing."""

import http.server
import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from nnwatch import alert
from nnwatch.alert import Alerts
from nnwatch.card import Card
from nnwatch.cli import main
from nnwatch.frame import Finding, Remedy
from nnwatch.process import Process

from .doors import PATIENCE, gone, history, steps, until

pytest.importorskip("apprise")
CARD = Card("id", "night", "/s/night.nnw", ["x"], "/", 0.0, host="gpu07", attach="nnwatch attach night")


class Endpoint:
    """A web hook; ``got`` are the messages that came."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        got = self.got

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self.server.server_port}/secret-path"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


def finding(id=1, severity="warn", status="open", explained_by=None, step=10):
    remedy = Remedy("Lower the rate", "lr 1 → 0.1", "the loss falls")
    return Finding(
        id, f"rule-{id}", "title", "invariant", severity, status, 1, step, 0.0, 0.0, "what", "why",
        explained_by=explained_by, remedies=[remedy],
    )  # fmt: skip


@pytest.fixture
def alerts(endpoint, monkeypatch):
    monkeypatch.setattr(alert, "_MESSAGE_EVERY", 3600.0)
    made = Alerts([], [["warn", endpoint.address]], CARD, print)
    yield made
    made.finish()


def arrived(alerts, endpoint, count):
    until(lambda: alerts.reap() or len(endpoint.got) >= count)
    until(lambda: alerts.reap() or not alerts.busy)
    assert len(endpoint.got) == count
    return endpoint.got[-1]


def test_a_message_says_what_where_and_how_to_look(alerts, endpoint):
    alerts.see(finding(severity="watch"))
    assert not alerts._running
    alerts.see(finding(severity="error", step=1200))
    message = arrived(alerts, endpoint, 1)
    assert message["title"] == "ERROR rule-1: night on gpu07, step 1,200"
    assert message["type"] == "failure"
    assert message["message"].splitlines() == [
        "ERROR rule-1: title: what",
        "because why",
        "do: Lower the rate: lr 1 → 0.1. Expect: the loss falls",
        "",
        "look at it on gpu07: nnwatch attach night",
        "from elsewhere: nnwatch attach ssh://gpu07/night",
    ]


def test_it_is_said_again_only_when_it_is_worse_than_ever(alerts, endpoint, monkeypatch):
    monkeypatch.setattr(alert, "_MESSAGE_EVERY", 0.0)
    alerts.see(finding())
    arrived(alerts, endpoint, 1)
    for severity, status in (
        ("warn", "open"),
        ("warn", "resolved"),
        ("warn", "open"),
        ("watch", "open"),
        ("warn", "open"),
    ):
        alerts.see(finding(severity=severity, status=status))
    alerts.see(finding(id=2, explained_by=1, severity="fatal"))
    assert not alerts._running
    alerts.see(finding(severity="error"))
    assert arrived(alerts, endpoint, 2)["title"].startswith("ERROR rule-1")


def test_what_comes_within_a_minute_is_one_message_and_the_worst_leads(alerts, endpoint):
    alerts.see(finding(1))
    arrived(alerts, endpoint, 1)
    for id in range(2, 12):
        alerts.see(finding(id, "fatal" if id == 7 else "warn"))
    assert not alerts._running
    assert len(endpoint.got) == 1
    alerts.finish()  # the run has ended: it does not wait for the minute
    message = arrived(alerts, endpoint, 2)
    assert message["title"].startswith("FATAL rule-7")
    assert "and 5 more findings" in message["message"]


def test_a_new_monitor_does_not_repeat_what_was_sent(endpoint):
    made = Alerts([], [["warn", endpoint.address]], CARD, print)
    made.see(finding(), again=True)
    made.see(finding())
    made.finish()
    assert endpoint.got == []


@pytest.mark.parametrize("batch", [{}, {"SLURM_JOB_ID": "7"}], ids=["here", "in a batch system"])
def test_a_nan_at_night_is_told_with_the_command_that_shows_it(home, endpoint, batch):
    done = home.nnwatch(
        "run",
        "--name",
        "night",
        "--alert",
        "error",
        endpoint.address,
        "trainer.py",
        "60",
        "0",
        "close",
        env={"NAN": "30"} | batch,
    )
    assert done.returncode == 0
    if not batch:  # there all is ended with the command, so it waits
        until(lambda: endpoint.got)
    [message] = endpoint.got
    assert message["title"].startswith("FATAL ")
    assert "night on " in message["title"]
    assert "nnwatch attach night" in message["message"]
    assert "secret-path" not in home.session().read_bytes().decode("latin-1") + done.stderr
    assert "secret-path" not in Path(home.cards()[0].session).with_suffix(".run.json").read_text()


@pytest.mark.parametrize("stuck", [False, True], ids=["refuses", "never answers"])
def test_a_dead_endpoint_costs_the_run_nothing(home, stuck):
    home.gate(41)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if stuck:
            server.listen()
        address = f"json://127.0.0.1:{server.getsockname()[1]}/secret-path"
        words = ("run", "--alert", "warn", address, "trainer.py", "200", "0", "exit5")
        process = home.start(*words, env={"NAN": "20"})
        card = home.running(40)
        if not stuck:
            until(lambda: any("--alert json://... failed" in str(e.data) for e in history(card.session).events))
        home.go_on()
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 5
    assert steps(card.session) == list(range(1, 201))
    assert "secret-path" not in said


@pytest.mark.parametrize("name", ["", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"])
def test_what_ends_with_its_command_is_known(name, monkeypatch):
    for one in alert._BATCH:
        monkeypatch.delenv(one, raising=False)
    if name:
        monkeypatch.setenv(name, "7")
    with subprocess.Popen(["sleep", "60"]) as launcher:
        assert alert.outlived(Process(launcher.pid, 1)) == (not name and os.getpid() != 1)
        launcher.kill()
    assert not alert.outlived(Process(1, 1))  # the first process of a container


def test_the_end_does_not_wait_for_a_message(home):
    home.gate(41)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"json://127.0.0.1:{server.getsockname()[1]}/"
        process = home.start("run", "--alert", "fatal", address, "trainer.py", "50", "0", "exit5")
        card = home.running(40)
        home.go_on()
        process.communicate(timeout=PATIENCE)
        assert not gone(card.monitor.pid)  # it waits for an answer that never comes
        assert home.cards()[0].end["exit"] == 5
    until(lambda: gone(card.monitor.pid))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bad", "json://host/"], "no severity"),
        (["warn", "nothing"], "no address that apprise knows"),
        (["warn", "nonsense://host/secret"], "--alert nonsense://...: no address"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(home, monkeypatch, capsys, words, says):
    monkeypatch.chdir(home.folder)
    assert main(["run", "--alert", *words, "trainer.py"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert says in line
    assert "secret" not in line


def test_a_file_of_addresses_is_an_address_too(home, endpoint):
    home.script("where.txt", f"{endpoint.address}\n")
    done = home.nnwatch("run", "--alert", "error", "where.txt", "trainer.py", "9", "0", "exit1")
    assert done.returncode == 1
    until(lambda: endpoint.got)
    assert [message["title"].split(":")[0] for message in endpoint.got] == ["FATAL crashed"]


def test_without_apprise_it_is_told_what_to_install(home, monkeypatch, capsys):
    monkeypatch.chdir(home.folder)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    assert main(["run", "--alert", "warn", "json://host/", "trainer.py"]) == 2
    assert "pip install 'nnwatch[alerts]'" in capsys.readouterr().err
