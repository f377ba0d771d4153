"""Nothing of the user's is changed by a check, whatever the script does."""

import ctypes
import hashlib
import json
import os
import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from nnwatch.check.contain import Spec

from ..nnwatch.doors import PATIENCE, ROOT
from .trying import PLAIN, check

VANDAL = """
import os, shutil, sys
from pathlib import Path
home = Path.home()
Path("log.txt").write_text("a line")
Path("notes.txt").write_text("overwritten")
Path("old.txt").unlink()
shutil.rmtree("runs")
Path("results").mkdir()
(home / ".model").write_text("in the home")
os.chmod("notes.txt", 0o777)
"""
SAVES = 'torch.save(model.state_dict(), "model.pt")\n'


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of everything below, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[str(path.relative_to(folder))] = mode, content
    return found


@pytest.fixture
def user(home):
    """A home with files of a user in it; the script lies in a folder below, and so does what a check itself keeps."""
    (home.folder / "notes.txt").write_text("mine")
    (home.folder / "old.txt").write_text("older")
    (home.folder / "runs").mkdir()
    (home.folder / "runs" / "first.pt").write_bytes(b"\\x00\\x01")
    place = home.folder / "home"
    place.mkdir()
    (place / ".model").write_text("before")
    home.env |= {"HOME": str(place)}
    return home


def of_the_user(home):
    return {path: what for path, what in contents(home.folder).items() if not path.startswith(("state", "sessions"))}


def test_the_folders_of_the_user_are_byte_for_byte_what_they_were(user):
    script = (
        VANDAL + PLAIN.replace("EPOCHS", "10").replace("        optimizer.step()", "        optimizer.step()\n") + SAVES
    )
    user.script("train.py", script)
    before = of_the_user(user)
    found = check(user, script, "--only", "scheduler")
    assert found.done.returncode == 0, found.done.stderr
    assert of_the_user(user) == before
    contained = found.trials["containment"]
    assert contained["how"] == "overlay"
    names = {Path(path).relative_to(user.folder).as_posix() for path in contained["written"]}
    assert {"log.txt", "notes.txt", "old.txt", "runs", "home/.model", "model.pt"} == names
    assert contained["connections"] == contained["loaded"] == []
    spec = json.loads((user.folder / "state/nnwatch/jobs" / found.card.id / "contain.json").read_text())
    assert not any(Path(scratch).exists() for scratch in spec["scratches"])


def contained(spec: Spec, path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    spec.save(path)
    command = [sys.executable, "-m", "nnwatch.check.contain", str(path), *words]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=PATIENCE, check=False)


def test_under_landlock_nothing_is_written_outside_of_the_scratch_folder(tmp_path):
    mine, scratch = tmp_path / "mine", tmp_path / "scratch"
    for folder in (mine, scratch):
        folder.mkdir()
    (mine / "notes.txt").write_text("mine")
    spec = Spec([str(mine)], [str(scratch)], [], "landlock")
    code = f"""
import os, pathlib
mine, scratch = pathlib.Path({str(mine)!r}), pathlib.Path({str(scratch)!r})
(scratch / "here").write_text("yes")
assert (mine / "notes.txt").read_text() == "mine"
for change in (
    lambda: (mine / "new").write_text("no"), lambda: (mine / "notes.txt").write_text("no"),
    lambda: (mine / "notes.txt").unlink(), lambda: (mine / "folder").mkdir(),
    lambda: os.truncate(mine / "notes.txt", 0), lambda: os.rename(mine / "notes.txt", scratch / "taken"),
):
    try:
        change()
    except PermissionError:
        print("refused")
"""
    done = contained(spec, tmp_path / "spec", sys.executable, "-c", code)
    assert done.stdout.split() == ["refused"] * 6, done.stderr
    assert contents(mine) == {"notes.txt": ((mine / "notes.txt").stat().st_mode, hashlib.sha256(b"mine").hexdigest())}
    assert (scratch / "here").read_text() == "yes"


def test_another_file_system_in_a_folder_of_the_users_stays_readable(tmp_path):
    """/dev holds file systems of its own: the shared memory among them."""
    spec = Spec(["/dev"], [str(tmp_path / "scratch")], [], "overlay")
    (tmp_path / "scratch").mkdir()
    name = f"/dev/shm/nnwatch-test-{os.getpid()}"
    Path(name).write_text("there")
    code = f"import pathlib; p = pathlib.Path({name!r}); print(p.read_text()); p.write_text('changed')"
    try:
        done = contained(spec, tmp_path / "spec", sys.executable, "-c", code)
        assert done.stdout.strip() == "there", done.stderr
        assert Path(name).read_text() == "there"
    finally:
        os.unlink(name)


def forbid() -> None:
    """A filter of system calls, as containers have one: neither namespaces nor Landlock (unshare, landlock_*)."""
    load, equal, give = 0x20, 0x15, 0x06
    refused, allowed = 0x00050000 | 1, 0x7FFF0000
    steps = [(load, 0, 0, 0), (equal, 2, 0, 272), (equal, 1, 0, 444), (give, 0, 0, allowed), (give, 0, 0, refused)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None)
    libc.prctl(38, 1, 0, 0, 0)
    assert libc.prctl(22, 2, program, 0, 0) == 0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="system calls by their number")
def test_what_cannot_be_contained_is_asked_for_first(user):
    script = PLAIN.replace("EPOCHS", "3") + 'open("written.txt", "w").close()\n'
    refused = check(user, script, "--only", "scheduler", preexec_fn=forbid)
    assert refused.done.returncode == 2
    assert "add --yes" in refused.done.stderr
    assert refused.trials == {}
    assert not (user.folder / "written.txt").exists()
    allowed = check(user, script, "--only", "scheduler", "--yes", preexec_fn=forbid)
    assert allowed.done.returncode == 0, allowed.done.stderr
    assert allowed.trials["containment"]["how"] == "none"
    assert (user.folder / "written.txt").exists()


def test_connections_to_other_machines_are_heard():
    code = """
import socket
from nnwatch.probes.trials.connections import Connections
heard = Connections()
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
for address in (("192.0.2.1", 443), ("192.0.2.1", 443), ("198.51.100.7", 80)):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(address)
print(*heard.opened)
"""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["192.0.2.1:443", "198.51.100.7:80"]
