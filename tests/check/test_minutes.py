"""A check keeps to the time it is given, and what was cut off says so."""

import textwrap

from .trying import PLAIN, check

SLOW = PLAIN.replace("EPOCHS", "100000").replace(
    "        optimizer.step()\n", "        optimizer.step()\n        time.sleep(0.5)\n"
)


def test_a_slow_script_is_stopped_in_time_and_what_was_cut_off_is_not_judged(home):
    found = check(home, "import time\n" + SLOW, "--minutes", "0.5")
    assert found.done.returncode == 0, found.done.stdout
    trials = found.trials
    assert found.history.last_step < 200
    assert trials["range"]["state"] == "not possible"
    assert "of the 0.5 minutes were left; --minutes" in trials["range"]["why"]


def test_data_that_never_come_to_an_end_take_no_longer(home):
    script = """
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Large(Dataset):
            def __len__(self):
                return 10**9

            def __getitem__(self, place):
                return torch.full((1000,), place / 1e9), torch.tensor([place / 1e9])

        torch.manual_seed(0)
        model = torch.nn.Linear(1000, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for x, y in DataLoader(Large(), 32):
            loss = torch.nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    """
    found = check(home, textwrap.dedent(script), "--minutes", "1", "--only", "data,overfit")
    assert found.done.returncode in (0, 3), found.done.stderr
    assert found.trials["data"]["state"] == "done", found.trials["data"]
