"""Scripts that cannot be tried as they are: a clear word each."""

import textwrap

import pytest

from .trying import PLAIN, check

NOTHING = "print('only looking')"
ARGUMENTS = """
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.parse_args()
"""
ASKS = 'name = input("which model? ")'
LEAVES = """
    import sys
    sys.exit("no data here")
"""
BREAKS = """
    import torch
    torch.zeros(2) @ torch.zeros(3)
"""
SLOW = """
    import time
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("script", "word"),
    [
        (NOTHING, "ended without a training step"),
        (ARGUMENTS, "they go behind its name: nnwatch check train.py ..."),
        (ASKS, "reads its standard input"),
        (LEAVES, "failed with exit code 1 before its first training step: no data here"),
        (BREAKS, "RuntimeError"),
    ],
)
def test_a_script_that_does_not_come_to_train(home, script, word):
    found = check(home, textwrap.dedent(script))
    assert found.done.returncode == 2
    assert word in found.done.stderr
    assert "Traceback" not in found.done.stderr


def test_a_script_that_takes_too_long_to_begin(home):
    found = check(home, textwrap.dedent(SLOW), "--minutes", "0.1")
    assert found.done.returncode == 2
    assert "made no training step in the time it had" in found.done.stderr


def test_a_script_with_arguments_that_ends_by_sys_exit_is_tried_all_the_same(home):
    script = "import sys\nassert sys.argv[1:] == ['--epochs', '3'], sys.argv\n" + PLAIN.replace("EPOCHS", "3")
    found = check(home, script + "sys.exit(0)\n", "--only", "overfit", args=("--epochs", "3"))
    assert found.done.returncode == 0, found.done.stderr
    assert found.trials["overfit"]["accuracy"] == 1.0


def test_a_stream_of_data_is_tried(home):
    script = """
        import torch
        from torch.utils.data import DataLoader, IterableDataset

        class Stream(IterableDataset):
            def __iter__(self):
                source = torch.Generator().manual_seed(1)
                for _ in range(200):
                    x = torch.randn(4, generator=source)
                    yield x, x.sum().unsqueeze(0)

        torch.manual_seed(0)
        model = torch.nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for epoch in range(1000):
            for x, y in DataLoader(Stream(), 10):
                loss = torch.nn.functional.mse_loss(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    """
    found = check(home, textwrap.dedent(script)).trials
    assert found["overfit"]["loss_kind"] == "mse"
    assert found["overfit"]["samples"] == 10
    assert found["twice"]["parted"] is None
    assert found["range"]["state"] == "done"
    assert 0.01 < found["range"]["suggested"] < 1


def test_a_script_that_goes_on_from_a_checkpoint_is_told_of(home):
    script = (
        PLAIN.replace("EPOCHS", "100000")
        .replace(
            "for epoch",
            """
torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": 7}, "/tmp/nnwatch-resume.pt")
saved = torch.load("/tmp/nnwatch-resume.pt")
model.load_state_dict(saved["model"])
for epoch""",
            1,
        )
        .replace("/tmp/nnwatch-resume.pt", str(home.folder / "last.pt"))
    )
    found = check(home, script, "--only", "scheduler")
    assert found.trials["containment"]["loaded"] == [str(home.folder / "last.pt")]
    assert not (home.folder / "last.pt").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--only", "lr,nothing", "train.py"], "nothing: no experiment"),
        (["--minutes", "0", "train.py"], "write a number of minutes"),
        (["no.py"], "no.py: no such script"),
        ([], "nothing to run; give a script (nnwatch check train.py)"),
    ],
)
def test_wrong_words_are_one_line(home, options, word):
    home.script("train.py", PLAIN)
    done = home.nnwatch("check", *options)
    assert done.returncode == 2
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1
