import torch

VERSION: int

def norms(tensors: list[torch.Tensor]) -> bytes | None: ...
def snapshot(tensors: list[torch.Tensor], most: int) -> bytes | None: ...
def compare(tensors: list[torch.Tensor], before: bytes) -> bytes | None: ...
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
