"""Data-parallel ranks on gloo, with one thing wrong at the last of them. FAULT STEPS [spawn | sharded]"""

import os
import signal
import sys
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, Dataset, DistributedSampler

fault, steps, how = sys.argv[1], int(sys.argv[2]), sys.argv[3:4]


class Points(Dataset):
    """Points of the plane. ``odd``, as the last rank has them: slow to read, or not of the scale that others have."""

    def __init__(self, odd):
        self.x = torch.randn(512, 4, generator=torch.Generator().manual_seed(1))
        self.y = (self.x.sum(1) > 0).long()
        self.pause = 0.004 if odd and fault == "slow" else 0.0
        if odd and fault == "data":
            self.x = 5 + 3 * self.x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        time.sleep(self.pause)
        return self.x[index], self.y[index]


def train(rank, ranks):
    last, attempt = rank == ranks - 1, int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
    torch.manual_seed(rank)  # DistributedDataParallel gives all the first one's weights
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    wrapped = shard(model, ranks) if how == ["sharded"] else nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = Points(last)
    sampler = None if fault == "samples" else DistributedSampler(data, seed=7 * (fault == "seed" and last))
    loader = DataLoader(data, batch_size=8, sampler=sampler)
    step = 0
    while step < steps:
        if sampler is not None:
            sampler.set_epoch(step)
        for x, y in loader:
            step += 1
            if last and step == steps // 2:
                fail(model, attempt)
                x = x * float("nan") if fault == "nan" else x
            optimizer.zero_grad()
            F.cross_entropy(wrapped(x), y).backward()
            if fault == "none":
                nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            if step == steps:
                break


def shard(model, ranks):
    """Each rank holds its part of all layers; of all but the last one, where weights are to be a rank's own."""
    mesh = dist.init_device_mesh("cpu", (ranks,))
    for part in (model[0],) if fault == "weights" else (model[0], model[2], model):
        fully_shard(part, mesh=mesh)
    return model


def fail(model, attempt):
    if fault == "weights" and how != ["sharded"]:
        with torch.no_grad():
            model[0].weight += 0.01
    elif fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "restart" and attempt == 0:
        os._exit(7)


def run(**where):
    dist.init_process_group("gloo", **where)
    train(dist.get_rank(), dist.get_world_size())
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # at a full exit gloo's threads abort one run in eight on a busy machine, watched or not


def spawned(rank, port):
    run(store=dist.TCPStore("127.0.0.1", port), rank=rank, world_size=2)


if __name__ == "__main__":
    if how == ["spawn"]:
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        torch.multiprocessing.spawn(spawned, (store.port,), nprocs=2)
    else:
        run()
