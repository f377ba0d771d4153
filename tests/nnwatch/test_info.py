"""`report --info` counts what is in the file, `--verify` finds every flaw and names its byte."""

import os
import struct
from pathlib import Path

import pytest

from nnwatch.cli import main
from nnwatch.frame import Block, Commit, FieldSpec, Run, Schema, Segment, pack
from nnwatch.parser import PRELUDE, pieces
from nnwatch.seal import sealed

from .doors import PATIENCE, Home

DEMO = Path(__file__).parents[2] / "nnwatch" / "demo.nnw"
RUN = pack(Run("one", "id", "host", ["x"], "python", "/", 10.0, producer="nnwatch 9"))


@pytest.fixture
def session(tmp_path):
    """Write a session of the given bytes and give its path."""

    def write(*parts):
        path = tmp_path / "s.nnw"
        path.write_bytes(b"".join([PRELUDE, *parts]))
        return str(path)

    return write


def block(values=b"\0" * 8):
    return pack(Block(1, 0, 0, 2, struct.pack("<2q", 1, 2), struct.pack("<2d", 11, 12), values))


def test_the_inventory_of_the_packaged_recording(capsys):
    assert main(["report", str(DEMO), "--info"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["steps", "528"] in rows
    assert ["torn", "no"] in rows
    assert ["step", "loss.train", "528"] in rows
    assert ["val", "loss.val", "48"] in rows
    kinds = rows[rows.index(["frames", "count", "bytes"]) + 1 :]
    kinds = kinds[: kinds.index([])]
    assert sum(int(size.replace(",", "")) for _, _, size in kinds) == DEMO.stat().st_size - len(PRELUDE)
    assert main(["report", str(DEMO), "--verify"]) == 0
    assert capsys.readouterr().out == f"whole: {sum(int(count) for _, count, _ in kinds)} frames\n"


def test_flipped_cut_and_both_are_named_by_their_bytes(tmp_path, capsys):
    data = bytearray(DEMO.read_bytes())
    known = list(pieces(bytes(data), len(PRELUDE)))
    hurt, last = known[20], known[-1]
    data[hurt.start + 30] ^= 1
    path = tmp_path / "hurt.nnw"
    path.write_bytes(data[:-3])
    assert main(["report", str(path), "--verify"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert f"{path}: byte {hurt.start}: damaged up to byte {hurt.end}, what was there is left out" in lines
    torn = last.end - last.start - 3
    assert lines[-1] == f"{path}: byte {last.start}: cut off or damaged from here on, {torn} bytes to the end"
    assert main(["report", str(path), "--info"]) == 2
    assert f"torn      {torn} bytes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((pack(Commit(1.0)), RUN), "the first whole frame is not the run's"),
        ((RUN, block()), "2 records of schema 1, which is not there"),
        ((RUN, pack(Schema(1, "step", [FieldSpec("lr")])), block()), "2 records of segment 0, rank 0, which is not"),
        (
            (RUN, pack(Segment(0, 0, 1, 10.0)), pack(Schema(1, "step", [FieldSpec("lr")])), block(values=b"1234")),
            "2 records of schema 'step' do not fill 36 bytes",
        ),
    ],
)
def test_whole_frames_that_cannot_be_are_flaws(session, capsys, parts, says):
    path = session(*parts)
    assert main(["report", path, "--verify"]) == 2
    assert says in capsys.readouterr().err


def test_frames_of_a_newer_writer_are_counted_and_are_no_flaw(session, capsys):
    path = session(RUN, sealed(b"\x81\xa4type\xa6future"))
    assert main(["report", path, "--verify"]) == 0
    assert capsys.readouterr().out == "whole: 2 frames, the run's end is not among them\n"
    assert main(["report", path, "--info"]) == 0
    said = capsys.readouterr().out
    assert "format    1.3, by nnwatch 9" in said
    assert "unknown            1" in said


@pytest.mark.parametrize(("content", "says"), [(b"", "empty file"), (b"PK\x03\x04" * 9, "not an nnwatch session")])
def test_what_is_no_session_is_refused_in_one_line(tmp_path, capsys, content, says):
    path = tmp_path / "x.nnw"
    path.write_bytes(content)
    assert main(["report", str(path), "--verify"]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_says_so(session, capsys):
    path = session(RUN)
    os.chmod(path, 0)
    assert main(["report", path, "--verify"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_running_job_s_file_is_whole_at_any_moment_and_after_its_end(home: Home):
    running = home.start("run", "--name", "grows", "trainer.py", "100", "0.01", "close")
    home.running(10)
    during = [home.nnwatch("report", "--verify") for _ in range(2)]
    assert [(done.returncode, done.stdout.split()[0]) for done in during] == [(0, "whole:")] * 2
    assert running.wait(PATIENCE) == 0
    done = home.nnwatch("report", "--verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "run's end" not in done.stdout
