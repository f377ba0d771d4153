"""What a shared session leaves out is not in its bytes, what it keeps is as it was, and it opens like any other."""

import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from nnwatch import job as jobs
from nnwatch import launch
from nnwatch.cli import main
from nnwatch.frame import Commit, Console, End, Event, Evidence, Finding, Frame, Judgement, Remedy, Run, Segment
from nnwatch.session import Reader, Writer
from nnwatch.share import PARTS, Without

from .doors import ROOT, Home, history, until

DEMO = Path(__file__).parents[2] / "nnwatch" / "demo.nnw"
TRAIN = """
import os, torch
from torch import nn
print("said-secret", flush=True)
model = nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(30):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(8, 4)), torch.zeros(8, dtype=torch.long)).backward()
    optimizer.step()
raise ValueError("message-secret")
"""
SECRETS = {
    "console": ["said-secret"],
    "command": ["argument-secret", "script_secret"],
    "paths": ["folder-secret", sys.executable],
    "exception": ["message-secret"],
}
QUOTES = {  # parts that quote others: the traceback is printed too, and names files
    "console": {"exception", "paths", "command"},
    "exception": {"paths", "command"},
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The session of a real training that crashed, with a secret wherever one can be."""
    folder = tmp_path_factory.mktemp("share") / "folder-secret with blanks"
    folder.mkdir()
    home = Home(folder)
    home.script("script_secret.py", TRAIN)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in home.env.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        command = [sys.executable, "script_secret.py", "--token", "argument-secret"]
        launch.detach(jobs.prepare(command, python=sys.executable, headless=False))
        card = until(lambda: next((card for card in home.cards() if card.end), None))
    return Path(card.session)


def share(session, target, *words):
    assert main(["export", str(session), "--share", str(target), *words]) == 0
    return target.read_bytes()


def test_the_recording_has_every_secret_and_the_shared_one_none(planted, tmp_path, capsys):
    before = planted.read_bytes()
    after = share(planted, tmp_path / "given.nnw")
    for part, secrets in SECRETS.items():
        for secret in secrets:
            assert secret.encode() in before, part
            assert secret.encode() not in after, part
    for word in (b"secret", b"ValueError", str(Path.home()).encode() + b"/"):
        assert word not in after
    run = history(tmp_path / "given.nnw").run
    assert run.host != socket.gethostname()
    assert (run.command, run.python, run.cwd) == ([], "", "")


@pytest.mark.parametrize("part", SECRETS)
def test_what_is_asked_for_is_kept_and_nothing_else(planted, tmp_path, part):
    after = share(planted, tmp_path / "given.nnw", "--with", part)
    assert all(secret.encode() in after for secret in SECRETS[part])
    for other in SECRETS.keys() - {part} - QUOTES.get(part, set()):
        assert not any(secret.encode() in after for secret in SECRETS[other]), other


def test_with_every_part_it_is_the_recording(planted, tmp_path):
    share(planted, tmp_path / "given.nnw", "--with", ",".join(PARTS))
    before, after = history(planted), history(tmp_path / "given.nnw")
    assert after.run == msgspec.structs.replace(before.run, name="given")
    assert (after.console, after.events, after.findings) == (before.console, before.events, before.findings)


def test_the_numbers_and_the_verdict_are_as_they_were(planted, tmp_path):
    for session in (planted, DEMO):
        target = tmp_path / f"{session.stem}-given.nnw"
        share(session, target)
        before, after = history(session), history(target)
        assert after.main.keys() == before.main.keys()
        for metric, series in before.main.items():
            np.testing.assert_array_equal(after.main[metric].values, series.values)
            assert after.main[metric].names() == series.names()
        assert [f.rule for f in after.findings.values()] == [f.rule for f in before.findings.values()]
        assert (after.end.status, after.end.exit) == (before.end.status, before.end.exit)


def test_it_opens_with_report_and_replay(planted, tmp_path):
    home = Home(tmp_path)
    share(planted, tmp_path / "given.nnw")
    said = home.nnwatch("report", "given.nnw")
    assert (said.returncode, said.stderr) == (0, "")
    assert "given failed with exit code 1, step 30" in said.stdout
    assert "FATAL crashed" in said.stdout
    assert home.nnwatch("report", "given.nnw", "--verify").returncode == 0
    played = home.nnwatch("replay", "given.nnw")
    assert played.returncode == 0, played.stderr
    assert "step 30" in played.stdout


WITHOUT_TORCH = """
import sys
forbidden = {"pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen"}
def watch(event, arguments):
    if event in forbidden or (event == "import" and arguments[0].split(".")[0] == "torch"):
        sys.exit(f"{event} {arguments}")
sys.addaudithook(watch)
sys.modules["torch"] = None
from nnwatch.cli import main
for words in (["report"], ["report", "--json"], ["report", "--verify"], ["replay"], ["export", "--to", "csv"]):
    assert main([words[0], sys.argv[1], *words[1:]]) == 0, words
"""


def test_it_opens_where_there_is_no_torch_and_nothing_in_it_is_unpickled_or_run(tmp_path):
    hostile = "cos\nsystem\n(S'touch ran'\ntR."
    writer = Writer(tmp_path / "s.nnw")
    frames = [frame for frame in Reader(DEMO).read() if not isinstance(frame, Commit | End)]
    facts = Event("facts", 1.0, data={"script": hostile, "model": pickle.dumps(Path("x")), "__reduce__": hostile})
    writer.append([*frames, facts, Console(2.0, hostile), End(3.0, "finished", 0)], Commit(4.0))
    writer.close()
    share(tmp_path / "s.nnw", tmp_path / "given.nnw", "--with", "console,command")
    env = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITHOUT_TORCH, "given.nnw"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "given-csv" / "step.csv").exists()
    assert not (tmp_path / "ran").exists()


def test_no_text_of_any_frame_lets_a_host_a_path_or_a_script_through():
    said = "at /data/secret/x.py:3 of ~/secret, ../secret/y in secret_script.py:4 on hostsecret (/home/a b/secret)"
    frames: list[Frame] = [
        Run("secret", "id", "hostsecret", ["secret"], "/home/a b/secret/python", "/home/a b/secret", 1.0),
        Segment(0, 0, 77, 1.0),
        Console(1.0, said),
        *(Event(name, 1.0, data={"text": [said, {"deep": said}]}) for name in ("facts", "nonfinite", "notice", "new")),
        Event("facts", 1.0, data={"script": "secret", "gpu": said}),
        Finding(
            1, "r", "t", "fact", "warn", "open", 1, 2, 1.0, 2.0, said, said, otherwise=said,
            evidence=[Evidence("lr", 1.0, meaning=said)], remedies=[Remedy(said, said, said)],
        ),
        Judgement(1, 0, 0, [], {"r": said}),
        End(1.0, "lost", cause=said),
    ]  # fmt: skip
    kinds = ("Run", "Segment", "Event", "Event", "Event", "Finding", "Judgement", "End")
    without = Without(set(), "given")
    kept = [frame for frame in map(without, frames) if frame is not None]
    assert [type(frame).__name__ for frame in kept] == [*kinds]
    assert "secret" not in repr(kept)
    assert "77" not in repr(kept)


def test_numbers_with_slashes_and_metric_names_are_no_paths():
    finding = Finding(
        1, "r", "t", "fact", "warn", "open", 1, 2, 1.0, 2.0, "update/weight 1/2 → 3e-4", "fc.0/bias: 5 % (epoch 1/10)"
    )
    assert Without(set(), "given")(finding) == finding


def test_a_commit_no_longer_names_processes(tmp_path):
    writer = Writer(tmp_path / "s.nnw")
    writer.append([Run("one", "id", "host", ["x"], "python", "/", 1.0)], Commit(1.0, {"1-2": (3, 4)}, 5))
    writer.close()
    share(tmp_path / "s.nnw", tmp_path / "given.nnw")
    assert history(tmp_path / "given.nnw").commit == Commit(1.0, dropped=5)


def test_a_file_that_is_there_is_not_overwritten_and_wrong_words_are_one_line(tmp_path, capsys):
    target = tmp_path / "mine.nnw"
    target.write_text("mine")
    for words, says in (
        (["--share", str(target)], "exists already and is not overwritten"),
        (["--share", str(tmp_path / "no" / "x.nnw")], "cannot be written: No such file"),
        (["--share", str(tmp_path / "x.nnw"), "--with", "consle"], "consle: no part; choose from console, command"),
        (["--share", str(tmp_path / "x.nnw"), "--to", "csv"], "not allowed with"),
        ([], "one of the arguments --to --share is required"),
    ):
        assert main(["export", str(DEMO), *words]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
    assert target.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.nnw"]
