"""A check keeps to the time it is given, and what was cut off says so."""

import textwrap

from .trying import PLAIN, check

SLOW = """
import time
from torch import nn

class Slow(nn.Module):
    def forward(self, x):
        time.sleep(1)
        return x
""" + PLAIN.replace("EPOCHS", "100000").replace("nn.Dropout(0.5)", "nn.Dropout(0.5), Slow()")


def test_a_slow_script_is_stopped_in_time_and_what_was_cut_off_is_not_judged(home):
    found = check(home, SLOW, "--minutes", "0.5")
    assert found.done.returncode == 0, found.done.stdout
    trials = found.trials
    assert found.history.last_step < 200
    assert trials["range"]["state"] == "not possible"
    assert "of the 0.5 minutes were left; --minutes" in trials["range"]["why"]


def test_ten_gigabytes_of_data_take_no_longer_and_stay_as_they_are(home):
    script = """
        import numpy as np
        import torch
        from torch.utils.data import DataLoader, Dataset

        class Rows(Dataset):
            rows = np.memmap("rows.f32", np.float32, "r", shape=(2_500_000, 1024))

            def __len__(self):
                return len(self.rows)

            def __getitem__(self, place):
                x = torch.tensor(self.rows[place]) + place / 1e6
                return x, x[:1]

        torch.manual_seed(0)
        model = torch.nn.Linear(1024, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for x, y in DataLoader(Rows(), 32):
            loss = torch.nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    """
    rows = home.folder / "rows.f32"
    with rows.open("wb") as file:
        file.truncate(2_500_000 * 1024 * 4)  # of holes: no block of the disk
    before = rows.stat()
    found = check(home, textwrap.dedent(script), "--minutes", "1", "--only", "data,overfit")
    assert found.done.returncode in (0, 3), found.done.stderr
    train = found.trials["data"]["sets"]["train"]
    assert train["rows"] == 2_500_000
    assert 2 <= train["read"] < train["rows"]
    after = rows.stat()
    assert (after.st_blocks, after.st_size, after.st_mtime_ns) == (before.st_blocks, before.st_size, before.st_mtime_ns)
