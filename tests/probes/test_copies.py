"""Saving, copying, pickling and sharing a model work at any moment of a watched step, and take nothing along."""

from __future__ import annotations

import pytest

from .harness import run

SCRIPT = """
    import copy, io, json, pickle
    import torch, torch.nn as nn, torch.nn.functional as F
    from torch.utils.data import DataLoader, Dataset

    OUT = {}

    def hooks(module):
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())

    def copies(when, net):
        file = io.BytesIO()
        torch.save(net, file)
        file.seek(0)
        state = io.BytesIO()
        torch.save(net.state_dict(), state)
        state.seek(0)
        made = [torch.load(file, weights_only=False), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
        fresh = Net(None)
        fresh.load_state_dict(torch.load(state))
        same = all(torch.equal(a, b) for other in (*made, fresh) for a, b in zip(other.parameters(), net.parameters()))
        count, left = OUT.get(when, (0, 0))
        OUT[when] = count + same, left + sum(hooks(other) for other in (*made, fresh))

    class Net(nn.Module):
        def __init__(self, when=None):
            super().__init__()
            self.a, self.act, self.b, self.when = nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), when
        def forward(self, x):
            h = self.act(self.a(x))
            if self.when:
                when, self.when = self.when, None
                copies(when, self)
            return self.b(F.dropout(h, 0.1, self.training))

    class Rows(Dataset):
        def __init__(self, net):
            self.net = net
        def __len__(self):
            return 80
        def __getitem__(self, i):
            generator = torch.Generator().manual_seed(i)
            x = torch.randn(6, generator=generator)
            with torch.no_grad():
                other = pickle.loads(pickle.dumps(copy.deepcopy(self.net)))
                return x + 0 * other.eval()(x).sum(), i % 3, hooks(other)

    def train():
        torch.manual_seed(0)
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        optimizer.register_step_pre_hook(lambda *_: copies("before the step", net))
        optimizer.register_step_post_hook(lambda *_: copies("after the step", net))
        losses = []
        for epoch in range(2):
            for x, y, seen in DataLoader(Rows(net), batch_size=4, num_workers=epoch):
                net.when = "in the forward pass"
                OUT["worker"] = OUT.get("worker", 0) + int(seen.sum())
                optimizer.zero_grad()
                loss = F.cross_entropy(net(x), y)
                copies("after the forward pass", net)
                loss.backward()
                copies("after the backward pass", net)
                if epoch == 1:
                    net.share_memory()
                optimizer.step()
                losses.append(loss.item())
        return losses

    if __name__ == "__main__":
        print(json.dumps([train(), OUT]))
"""
MOMENTS = (
    *("in the forward pass", "after the forward pass", "after the backward pass"),
    *("before the step", "after the step"),
)


@pytest.mark.slow
def test_a_model_is_copied_at_any_moment_as_it_is():
    watched, bare = run(SCRIPT), run(SCRIPT, watched=False)
    assert watched.returncode == 0, watched.stderr
    assert watched.printed() == bare.printed()
    assert watched.stderr == bare.stderr
    _, out = watched.printed()
    assert out == {"worker": 0, **{moment: [40, 0] for moment in MOMENTS}}  # 40 right copies, no hook in them
    assert len(watched.steps("grad.norm")) >= 20  # it was looked at closely all the while
    assert not [event for event in watched.events if event["name"] == "probe.failed"]
