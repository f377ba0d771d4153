"""A training that says how much it holds: arguments are its steps and the times it says so."""

GROWTH = """
import gc, json, os, sys, threading
import torch
from torch import nn

torch.set_num_threads(1)
steps, times = map(int, sys.argv[1:])
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x, y = torch.randn(16, 8), torch.randint(0, 3, (16,))
said = []
for step in range(1, steps + 1):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    if step % (steps // times) == 0:
        gc.collect()
        with open("/proc/self/statm") as file:
            rss = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        said.append({"rss": rss, "objects": len(gc.get_objects()), "threads": len(os.listdir("/proc/self/task"))})
print(json.dumps(said))
"""
