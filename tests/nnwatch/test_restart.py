"""A Slurm job that is started again or ended by Slurm, by what it is told in its environment and by `scontrol`."""

import json
import os
import signal
import time

import pytest

from nnwatch import runs
from nnwatch.cli import main

from .doors import history, kill, until

SLURM = {"SLURM_JOB_ID": "4711", "SLURM_CLUSTER_NAME": "north"}
RESTARTED = SLURM | {"SLURM_RESTART_COUNT": "1"}
SCONTROL = """#!/bin/sh
test "$*" = "--oneliner show job 4711" || exit 1
echo "JobId=4711 JobName=job.sh UserId=me(7) Priority=1 {state} RunTime=00:01:07 TimeLimit=00:01:00"
"""
STUBBORN = """
import runpy, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
runpy.run_path("trainer.py", run_name="__main__")
"""


@pytest.fixture
def known(home, monkeypatch):
    for name in ("XDG_STATE_HOME", "NNWATCH_HOME"):
        monkeypatch.setenv(name, home.env[name])
    return home


def run(home, env, *words):
    before = {card.id for card in home.cards()}
    home.nnwatch("run", "--headless", *words, env=env)
    [made] = [card for card in home.cards() if card.id not in before]
    return made


def test_a_requeued_job_goes_on_from_its_run_before_and_the_name_means_the_newest(known, capsys):
    words = ("--name", "digits", "trainer.py", 30, 0)
    first = run(known, SLURM, *words, "SIGTERM")
    second = run(known, RESTARTED, *words, "SIGTERM")
    third = run(known, RESTARTED | {"SLURM_RESTART_COUNT": "2"}, *words, "SIGTERM")
    assert [card.continues for card in (first, second, third)] == ["", first.id, second.id]
    assert runs.resolve("digits").id == third.id
    assert runs.resolve(first.id).id == first.id
    [notice] = [event.data["text"] for event in history(second.session).events if event.name == "notice"]
    assert notice == f"start 2 of this Slurm job; before it was run {first.id} (digits), up to step 30"
    assert main(["ls"]) == 0
    assert [line.partition("  goes on from ")[2] for line in capsys.readouterr().out.splitlines()] == [
        second.id, first.id, ""
    ]  # fmt: skip
    assert main(["report", "--json", "digits"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["continues"] == second.id


def test_another_job_another_command_and_a_first_start_go_on_from_nothing(known):
    run(known, SLURM, "trainer.py", 5, 0, "close")
    for env, steps in ((RESTARTED | {"SLURM_JOB_ID": "4712"}, 5), (RESTARTED, 6), (SLURM, 5), ({}, 5)):
        assert run(known, env, "trainer.py", steps, 0, "close").continues == ""


def test_the_session_that_a_requeued_job_names_is_kept_beside_the_new_one(known):
    words = ("--session", "one.nnw", "trainer.py", 5, 0, "close")
    made = [run(known, env, *words) for env in (SLURM, RESTARTED)]
    assert [os.path.basename(card.session) for card in made] == ["one.nnw", "one.start-1.nnw"]
    assert [history(card.session).last_step for card in made] == [5, 5]
    refused = known.nnwatch("run", "--headless", *words, env=SLURM)
    assert refused.returncode == 2
    assert "exists already and is not overwritten" in refused.stderr


@pytest.fixture
def slurm(known):
    """Start a training of 20 steps in a job of which `scontrol` says it is in a ``state``."""

    def start(state, *words):
        folder = known.folder / "bin"
        folder.mkdir()
        (folder / "scontrol").write_text(SCONTROL.format(state=f"JobState={state}"))
        (folder / "scontrol").chmod(0o755)
        known.gate(21)
        env = SLURM | {"PATH": f"{folder}:{known.env['PATH']}"}
        process = known.start("run", "--headless", "--name", "digits", *words, 30, 0, "close", env=env)
        return process, known.running(20)

    return start


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("TIMEOUT Restarts=0", "Slurm ends job 4711 at its time limit of 00:01:00"),
        ("CANCELLED", "Slurm ends job 4711 because it was cancelled"),
        ("COMPLETING Reason=TimeLimit", "Slurm ends job 4711 at its time limit of 00:01:00"),
        ("COMPLETING Restarts=1", "Slurm ends job 4711 to start it again"),
        ("RUNNING", ""),
    ],
)
def test_what_slurm_says_is_the_cause_of_the_end(slurm, state, why):
    process, card = slurm(state, "trainer.py")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    seen = history(card.session)
    assert (seen.end.status, seen.end.signal, seen.end.cause) == ("killed", signal.SIGTERM, why)
    [found] = [finding for finding in seen.findings.values() if finding.rule == "crashed"]
    assert (found.severity, found.why) == ("info", why or "SIGTERM came from outside")
    assert f"nnwatch: digits was ended by SIGTERM{why and f' ({why})'}, step 20 after" in said


def test_a_training_that_ignores_sigterm_and_is_killed_with_all_that_watches_it_says_why(slurm, known, capsys):
    known.script("stubborn.py", STUBBORN)
    process, card = slurm("TIMEOUT", "stubborn.py")
    process.send_signal(signal.SIGTERM)
    until(lambda: [event for event in history(card.session).events if event.name == "stopping"])
    kill(card)
    process.communicate()
    assert main(["report", "digits"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("digits lost (Slurm ends job 4711 at its time limit of 00:01:00), step 20 after ")


@pytest.mark.parametrize(("left", "why"), [(30, "the time of its Slurm job ended at "), (3600, "")])
def test_a_job_that_is_killed_at_once_is_put_down_to_the_end_of_its_time(known, capsys, left, why):
    known.gate(21)
    env = SLURM | {"SLURM_JOB_END_TIME": str(int(time.time()) + left)}
    process = known.start("run", "--headless", "--name", "digits", "trainer.py", 30, 0, "close", env=env)
    kill(known.running(20))
    process.communicate()
    assert main(["report", "digits"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"digits lost ({why}" if why else "digits lost, step 20")
