"""A session is told, played and exported while it grows, after a crash, from a copy, from a read-only mount."""

import csv
import itertools
import subprocess
from typing import Any

import pytest

from .doors import NNWATCH, PATIENCE, kill, needs_tmpfs, until

_NUMBERS = itertools.count()


def told(home, session, *before):
    """Every door says what is in it: 40 steps, the last of which had a loss of 1/40."""

    def start(*words) -> Any:
        return subprocess.Popen(
            [*before, *NNWATCH, *map(str, words)], cwd=home.folder, env=home.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def nnwatch(*words):
        process = start(*words)
        said = process.communicate(timeout=PATIENCE)
        return process.returncode, *said

    code, flaw = (2, f"nnwatch: {session}: cut off at byte") if session.stem == "torn" else (0, "")
    ended, out, err = nnwatch("report", session)
    assert "step 40" in out
    assert (ended, err[: len(flaw) or None]) == (code, flaw)
    played = start("replay", session)  # it follows what grows
    while "step 40" not in (line := played.stdout.readline()):
        assert line, played.communicate()
    played.kill()
    played.communicate()
    folder = home.folder / f"export-{next(_NUMBERS)}"
    ended, _, err = nnwatch("export", session, "--to", "csv", "--out", folder)
    assert (ended, err[: len(flaw) or None]) == (code, flaw)
    with (folder / "step.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 41))
    assert float(rows[-1]["loss.train"]) == pytest.approx(1 / 40)


def test_while_it_grows_after_a_crash_and_from_a_copy(home):
    home.gate(41)
    process = home.start("run", "trainer.py", "80", "0", "close")
    card = home.running(40)
    session = home.session()
    told(home, session)
    whole = session.read_bytes()
    kill(card)
    process.communicate()
    until(lambda: home.cards()[0].state == "lost")
    told(home, session)
    elsewhere = home.folder / "copies"
    elsewhere.mkdir()
    for name, data in (("copy", whole), ("torn", whole + whole[16:27])):
        (elsewhere / f"{name}.nnw").write_bytes(data)
        told(home, elsewhere / f"{name}.nnw")


@needs_tmpfs
def test_from_a_mount_that_is_read_only(home):
    home.nnwatch("run", "trainer.py", "40", "0", "close")
    mount = f"mount --bind {home.session().parent} {home.session().parent}; "
    mount += f"mount -o remount,bind,ro {home.session().parent}; ! touch {home.session()} 2>/dev/null;"
    told(home, home.session(), "unshare", "--mount", "sh", "-ec", mount + ' exec "$@"', "sh")
