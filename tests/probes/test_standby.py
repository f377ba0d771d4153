"""A process that imports torch and makes nothing has the patches and little else; the first module loads the rest."""

from __future__ import annotations

import json

from .harness import run

IDLE = """
    import json, random, sys, torch
    import torch.nn.functional as F

    @torch.jit.script
    def scripted(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(a, b)

    def loaded():
        return sorted(name for name in sys.modules if name.startswith("nnwatch.probes."))

    torch.manual_seed(3)
    random.seed(3)
    early = loaded()
    layer = torch.nn.Linear(2, 2)
    print(json.dumps([early, loaded(), hasattr(F.mse_loss, "__wrapped__")]))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    F.mse_loss(layer(torch.ones(1, 2)), torch.zeros(1, 2)).backward()
    optimizer.step()
"""


def test_a_process_that_makes_nothing_loads_no_watch():
    recorded = run(IDLE)
    early, late, patched = recorded.printed()
    assert patched
    assert len(early) < len(late) / 3
    assert "nnwatch.probes.watch" not in early
    assert "nnwatch.probes.watch" in late
    assert recorded.steps("loss.train") == [1]
    assert recorded.facts()["seeds"]["torch"] == 3  # seeded before
    assert recorded.facts()["seeds"]["python"] is True


BROKEN = """
    import json, sys, torch
    sys.modules["nnwatch.probes.watch"] = None  # as if it could not be imported with this torch
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(layer(torch.ones(1, 2)), torch.zeros(1, 2)).backward()
        optimizer.step()
    print(json.dumps("trained"))
"""


def test_what_cannot_be_loaded_is_told_and_the_training_goes_on(tmp_path):
    recorded = run(BROKEN, job=tmp_path)
    assert recorded.returncode == 0, recorded.stderr
    assert recorded.stderr == ""
    assert recorded.printed() == "trained"
    (hello,) = (json.loads(path.read_text()) for path in (tmp_path / "hello").iterdir())
    assert hello["error"].startswith("ModuleNotFoundError")
    assert hello["torch"]


FORKED = """
    import gc, importlib.machinery, json, os, sys, threading, torch
    inside, go = threading.Event(), threading.Event()

    class Slow(importlib.machinery.SourceFileLoader):
        def exec_module(self, module):
            inside.set()
            go.wait()
            super().exec_module(module)

    class Finder:
        @staticmethod
        def find_spec(name, path, target=None):
            if name != "nnwatch.probes.watch":
                return None
            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
            spec.loader = Slow(name, spec.origin)
            return spec

    sys.meta_path.insert(0, Finder)
    thread = threading.Thread(target=torch.nn.Linear, args=(2, 2))
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:  # the thread that loads is not there
        torch.nn.Linear(2, 2)
        os._exit(7 if gc.isenabled() else 8)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    go.set()
    thread.join()
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    torch.nn.functional.mse_loss(layer(torch.ones(1, 2)), torch.zeros(1, 2)).backward()
    optimizer.step()
    print(json.dumps(status))
"""


def test_a_child_forked_while_another_thread_loads_goes_on_unwatched():
    recorded = run(FORKED)
    assert recorded.printed() == 7
    assert recorded.steps("loss.train") == [1]
