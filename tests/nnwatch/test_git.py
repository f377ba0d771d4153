"""The state of a repository, read without git, is what git says."""

import os
import shutil
import subprocess

import pytest

from nnwatch.git import state

from .doors import history

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
BARE = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
"""As git is for somebody who has set up nothing."""


class Git:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def __call__(self, *words):
        who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=trunk"]
        done = subprocess.run(
            ["git", *who, *words], cwd=self.folder, env=BARE, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()


@pytest.fixture
def git(tmp_path):
    return Git(tmp_path / "project")


def dirty(folder):
    found = state(folder)
    assert found is not None
    return found["dirty"]


def test_commit_branch_and_changes(git):
    folder = git.folder
    assert state(folder) is None
    git("init")
    (folder / "src").mkdir()
    (folder / "a.py").write_text("one\n")
    (folder / "src" / "b.py").write_text("two\n")
    (folder / "link").symlink_to("a.py")
    git("add", ".")
    assert state(folder) == {"commit": None, "branch": "trunk", "dirty": False}
    git("commit", "-m", "first")
    first = git("rev-parse", "HEAD")
    assert state(folder / "src") == {"commit": first, "branch": "trunk", "dirty": False}
    (folder / "new.py").write_text("not tracked\n")
    (folder / "a.py").write_text("one\n")  # touched, not changed
    assert dirty(folder) is False
    (folder / "a.py").write_text("eno\n")
    assert dirty(folder) is True
    git("checkout", "a.py")
    (folder / "src" / "b.py").unlink()
    assert dirty(folder) is True
    git("checkout", "src/b.py")
    git("pack-refs", "--all")
    assert state(folder) == {"commit": first, "branch": "trunk", "dirty": False}
    git("worktree", "add", "-b", "side/line", "../other")
    assert state(folder.parent / "other") == {"commit": first, "branch": "side/line", "dirty": False}
    git("checkout", "--detach")
    assert state(folder) == {"commit": first, "branch": None, "dirty": False}


@pytest.mark.parametrize("spoilt", ["index", "HEAD"])
def test_a_damaged_repository_is_none(git, spoilt):
    git("init")
    (git.folder / "a.py").write_text("one\n")
    git("add", ".")
    (git.folder / ".git" / spoilt).write_bytes(b"DIRC\0\0\0\2\0\0\0\5\xff" if spoilt == "index" else b"\xff\xfe")
    assert state(git.folder) is None


def test_it_is_a_fact_of_the_run(home):
    subprocess.run(["git", "init", "-q", "-b", "trunk"], cwd=home.folder, env=BARE, check=True)
    done = home.nnwatch("run", "trainer.py", "5", "0", "close")
    assert done.returncode == 0, done.stderr
    seen = history(home.session())
    assert seen.facts_of(seen.main)["git"] == {"commit": None, "branch": "trunk"}
