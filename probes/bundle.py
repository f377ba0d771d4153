"""The batch that made the first number that is not finite, kept beside the session for a look without torch.

Plain arrays (``.npy``), JSON and a page of text; never pickle. README.md in this folder describes the files.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .case import Case, Report
from .undo import Begun

if TYPE_CHECKING:
    from numpy.typing import NDArray

BYTES = 16 << 20
"""Size of all arrays together, at most: of a larger batch some samples are kept, the bad ones first."""
SPARE = 16
"""Nothing is written where it would take more than 1/16 of the space that is left."""
MOST = 3
"""Bundles of one process."""
TEXT = 200
"""Characters kept of a text in the batch."""

_README = """What led to the first number that is not finite, kept by nnwatch. Nothing here is executed or unpickled.

autopsy.json      what was found ("report"), every array with its place, shape and type ("arrays"), what else was in
                  the batch ("values"), the random states ("random"), versions
*.npy             the arrays; in Python: numpy.load("batch.0.npy")

Names of arrays   batch.*   what the DataLoader gave; batch.0 is its first part
                  call.*    what the model was called with: call.args.0, call.kwargs.mask ...
                  loss.*    what the loss function was called with: loss.args.0 is the prediction, .1 the target
                  random.*  states of the random number generators when the step's forward pass began, or,
                            if "when" in "random" says so, when it was examined

"type" is what it was in the training, "stored" what it is in the file: bfloat16 becomes float32, which holds it
exactly. "rows" lists the samples kept where the whole batch was larger than the bundle may be; null means all.

If the report has a "batch_step", the weights were found to be no numbers one step later: the arrays are then those
of that step, and the batch that did it is gone.

To run the batch again in Python:

    import json, numpy, torch
    about = json.load(open("autopsy.json"))
    torch.set_rng_state(torch.from_numpy(numpy.load("random.torch.npy")))
    x = torch.from_numpy(numpy.load("batch.0.npy"))
"""


class Array(NamedTuple):
    name: str
    tensor: torch.Tensor


def write(folder: str, step: int, report: Report, case: Case) -> list[str]:
    """Write the files into ``folder``, which is made, and give their names back. Raises OSError, and then leaves
    nothing: so when there is not enough space."""
    arrays, values = _gathered(case)
    bad = [row for row in report.get("bad_samples", ()) if isinstance(row, int)]
    new = f"{folder}.new"
    parent = os.path.dirname(os.path.dirname(folder))
    space = os.statvfs(parent)
    if min(sum(_bytes(array.tensor) for array in arrays), BYTES) * SPARE > space.f_bavail * space.f_frsize:
        raise OSError(f"not enough space in {parent}")
    os.makedirs(new)
    try:
        listed = _save(new, arrays, bad)
        about = {
            "format": 1,
            "step": step,
            "report": report,
            "arrays": listed,
            "values": values,
            "random": _random(new, case.call.begun if case.call is not None else None),
            "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
        }
        with open(os.path.join(new, "autopsy.json"), "x", encoding="utf-8") as file:
            json.dump(_plain(about), file, allow_nan=False, indent=1)
        with open(os.path.join(new, "README.txt"), "x", encoding="utf-8") as file:
            file.write(_README)
        os.rename(new, folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return sorted(os.listdir(folder))


def _gathered(case: Case) -> tuple[list[Array], dict[str, Any]]:
    """The tensors by their place, and the other values in the batch."""
    arrays: list[Array] = []
    values: dict[str, Any] = {}
    _walk("batch", case.batch, arrays, values)
    if case.call is not None:
        _walk("call.args", case.call.args, arrays, values)
        _walk("call.kwargs", case.call.kwargs, arrays, values)
    if case.term is not None:
        values["loss"] = case.term.name
        _walk("loss.args", tuple(case.term.args), arrays, values)
        _walk("loss.kwargs", dict(case.term.kwargs), arrays, values)
    return arrays, values


def _walk(name: str, value: Any, arrays: list[Array], values: dict[str, Any], depth: int = 5) -> None:
    if isinstance(value, torch.Tensor):
        if value.layout is torch.strided:
            arrays.append(Array(name, value.detach()))
    elif isinstance(value, Mapping) and depth:
        for key, part in value.items():
            _walk(f"{name}.{_safe(key)}", part, arrays, values, depth - 1)
    elif isinstance(value, list | tuple) and depth:
        for place, part in enumerate(value):
            _walk(f"{name}.{place}", part, arrays, values, depth - 1)
    elif value is None or isinstance(value, bool | int | float):
        values[name] = value
    elif isinstance(value, str):
        values[name] = value[:TEXT]
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays.append(Array(name, torch.from_numpy(value)))


def _safe(key: Any) -> str:
    """A part of a file name."""
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in str(key))[:60]


def _save(folder: str, arrays: Sequence[Array], bad: Sequence[int]) -> list[dict[str, Any]]:
    """Write each array once; tensors that are views of the same numbers share a file."""
    kept = _rows(arrays, bad)
    listed: list[dict[str, Any]] = []
    files: dict[tuple[Any, ...], dict[str, Any]] = {}
    written = 0
    for name, tensor in arrays:
        same = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and same in files:
            files[same]["places"].append(name)
            continue
        entry: dict[str, Any] = {
            "file": f"{name}.npy",
            "places": [name],
            "shape": list(tensor.shape),
            "type": str(tensor.dtype)[6:],
        }
        whole = kept is None or not (tensor.dim() and tensor.shape[0] == kept[0])
        part = tensor if whole or kept is None else tensor[kept[1]]
        entry["rows"] = None if whole or kept is None else kept[1]
        if written + _bytes(part) > BYTES:
            listed.append(entry | {"file": None})
            continue
        written += _bytes(part)
        array = _array(part)
        np.save(os.path.join(folder, f"{name}.npy"), array, allow_pickle=False)
        files[same] = entry | {"stored": str(array.dtype)}
        listed.append(files[same])
    return listed


def _rows(arrays: Sequence[Array], bad: Sequence[int]) -> tuple[int, list[int]] | None:
    """Samples of the batch, and those to keep: all (None) if they fit, else the bad ones and the first ones."""
    whole = sum(_bytes(tensor) for _, tensor in arrays)
    if whole <= BYTES:
        return None
    sizes = [tensor.shape[0] for _, tensor in arrays if tensor.dim()]
    if not sizes:
        return None
    rows = max(sizes, key=lambda size: sum(_bytes(t) for _, t in arrays if t.dim() and t.shape[0] == size))
    many = max(1, rows * BYTES // (whole + 1))
    order = [*dict.fromkeys([*(row for row in bad if row < rows), *range(rows)])]
    return rows, sorted(order[:many])


def _bytes(tensor: torch.Tensor) -> int:
    size: int = tensor.numel() * (4 if tensor.dtype is torch.bfloat16 else tensor.element_size())
    return size


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    tensor = tensor.cpu()
    found: NDArray[Any] = (tensor.float() if tensor.dtype is torch.bfloat16 else tensor.resolve_conj()).numpy()
    return found


def _random(folder: str, begun: Begun | None) -> dict[str, Any]:
    """Save the random states; numpy's and Python's are those of now: no pass notes them when it begins."""
    now = begun if begun is not None and begun.cpu is not None else Begun.now()
    assert now.cpu is not None
    states = {"torch": now.cpu} | {f"cuda.{place}": state for place, state in enumerate(now.cuda)}
    for name, state in states.items():
        np.save(os.path.join(folder, f"random.{name}.npy"), state.numpy(), allow_pickle=False)
    kind, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    np.save(os.path.join(folder, "random.numpy.npy"), keys, allow_pickle=False)
    return {
        "when": "the forward pass began" if begun is not None else "it was examined",
        "torch": "random.torch.npy",
        "cuda": [f"random.cuda.{place}.npy" for place in range(len(now.cuda))],
        "numpy": {"kind": kind, "keys": "random.numpy.npy", "place": place, "has_gauss": has_gauss, "gauss": gauss},
        "python": random.getstate(),
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are written as words."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
