"""What the user lets go of is gone: nothing of ours keeps it alive."""

from __future__ import annotations

from .harness import run

LETTING_GO = """
    import gc, json, weakref
    import torch, torch.nn as nn
    from torch.utils.data import DataLoader, TensorDataset

    def main(epochs=3, rate=0.1):
        settings = locals()
        called = nn.functional.cross_entropy
        kinds = (True, called), (False, called), (True, by_hand), (False, by_hand)
        return [sorted(settings), *(train(epochs, rate, *kind) for kind in kinds)]

    def by_hand(logits, labels):
        return -logits.log_softmax(1)[range(len(labels)), labels].mean()

    def train(epochs, rate, loaded, criterion):
        model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        data = TensorDataset(torch.randn(64, 6), torch.randint(0, 3, (64,)))
        loader = DataLoader(data, batch_size=16, shuffle=True) if loaded else [data[i : i + 16] for i in (0, 16, 32)]
        held_out = DataLoader(data, batch_size=32)
        for epoch in range(epochs):
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                output = model(x)
                loss = criterion(output, y)
                loss.backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                for a, b in held_out:
                    score = criterion(model(a), b)
        alive = [weakref.ref(thing) for thing in (model, optimizer, data, x, output, loss, a, score)]
        del model, optimizer, loader, held_out, data, x, y, output, loss, a, b, score
        gc.collect()
        return [type(thing()).__name__ for thing in alive if thing() is not None]

    print(json.dumps(main()))
"""


def test_what_the_user_lets_go_of_is_gone() -> None:
    assert run(LETTING_GO, budget=1.0).printed() == [["epochs", "rate"], [], [], [], []]
