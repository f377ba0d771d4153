"""Two processes on gloo: data parallel, or sharded with fully_shard."""

import os
import sys

import torch
import torch.distributed as dist
import torch.nn.functional as F
from own import Own, accuracy
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

dist.init_process_group("gloo")
torch.manual_seed(0)
x, y = torch.randn(64, 5), torch.randint(0, 3, (64,))
model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 4))
if sys.argv[1] == "fsdp2":
    from torch.distributed.fsdp import fully_shard

    for layer in (model[0], model[2], model):
        fully_shard(layer, mesh=dist.init_device_mesh("cpu", (2,)))
    wrapped = model
else:
    wrapped = nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = TensorDataset(x, y)
sampler = DistributedSampler(data)
loader = DataLoader(data, batch_size=8, sampler=sampler)
own = Own()
own.know(planned_steps=20, distributed=True)


def local(tensor):
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


class Shard:
    """What this process holds of a parameter."""

    def __init__(self, parameter):
        self.parameter = parameter

    def detach(self):
        return local(self.parameter.detach())

    @property
    def grad(self):
        return local(self.parameter.grad)


for epoch in range(5):
    sampler.set_epoch(epoch)
    for a, b in loader:
        optimizer.zero_grad()
        output = wrapped(a)
        loss = F.cross_entropy(output, b)
        loss.backward()
        own.gradients((name, Shard(p)) for name, p in model.named_parameters())
        optimizer.step()
        own.step(loss=loss, root=loss, lr=[0.1], batch=8, epoch=epoch + 1, accuracy=accuracy(output, b))
own.know(model=["FSDPSequential" if sys.argv[1] == "fsdp2" else "Sequential", 84])
own.end(list(model.parameters()))
dist.destroy_process_group()
sys.stdout.flush()
os._exit(0)  # at a full exit gloo's threads abort one run in eight on a busy machine, watched or not
