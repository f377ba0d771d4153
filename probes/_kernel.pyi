import torch

VERSION: int

def norms(tensors: list[torch.Tensor]) -> bytes | None: ...
def snapshot(tensors: list[torch.Tensor], most: int, held: bytearray) -> bytearray | None: ...
def compare(tensors: list[torch.Tensor], before: bytearray) -> bytes | None: ...
def moments(tensor: torch.Tensor, most: int) -> tuple[float, float, float, float] | None: ...
def activation(
    tensor: torch.Tensor,
    most: int,
    low: float,
    high: float,
    fired: bytearray | None,
    channels: bool,
    now: int,
    window: int,
) -> tuple[float, float, float, float] | None: ...
def classes(
    logits: torch.Tensor, labels: torch.Tensor, ignored: int, distance: int, bins: int, counted: bool
) -> tuple[int, int, int, bool, float, float, bytes] | None: ...
def gradients_into(record: bytearray, place: int, parameters: list[torch.Tensor]) -> float | None: ...
def compare_into(
    record: bytearray, norms: int, ratios: int, parameters: list[torch.Tensor], before: bytearray
) -> bool | None: ...
def moments_into(record: bytearray, places: tuple[int, ...], tensor: torch.Tensor, most: int) -> bool: ...
def classes_into(
    record: bytearray,
    places: tuple[int, ...],
    logits: torch.Tensor,
    labels: torch.Tensor,
    ignored: int,
    distance: int,
    bins: int,
    counted: bool,
) -> bool: ...
def layer(plan: tuple[object, ...], module: torch.nn.Module, args: object, output: object) -> None: ...
