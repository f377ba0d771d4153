"""The GPUs of the machine by NVML: what a device does not tell is NaN, and without a driver there is a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pynvml

SLOWED = (
    pynvml.nvmlClocksThrottleReasonHwSlowdown
    | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
    | pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown
    | pynvml.nvmlClocksThrottleReasonSwThermalSlowdown
    | pynvml.nvmlClocksThrottleReasonSwPowerCap
)
"""Reasons for a low clock that are heat or power: an idle GPU and a clock that the user chose are none."""

Device = tuple[str, Any]
"""Name with number, and NVML's handle."""

_READS: dict[str, Callable[[Any], float]] = {
    "gpu.percent": lambda handle: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu,
    "gpu.memory.used": lambda handle: pynvml.nvmlDeviceGetMemoryInfo(handle).used,
    "gpu.memory.total": lambda handle: pynvml.nvmlDeviceGetMemoryInfo(handle).total,
    "gpu.power": lambda handle: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,  # milliwatts
    "gpu.temperature": lambda handle: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
    "gpu.clock": lambda handle: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
    "gpu.throttle": lambda handle: bool(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) & SLOWED),
}
FIELDS = (*_READS, "gpu.memory.mine")


def devices() -> tuple[list[Device], str | list[str]]:
    """Every GPU, and the fact to state: their names, or why there are none."""
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        found = [(f"{pynvml.nvmlDeviceGetName(handle)} #{i}", handle) for i, handle in enumerate(handles)]
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return [], "no NVIDIA driver"
    except pynvml.NVMLError as error:
        return [], f"NVIDIA driver: {error}"
    return found, [name for name, _ in found] or "no NVIDIA GPU"


def read(gpus: Sequence[Device], processes: set[int]) -> list[float]:
    """Field by field, one value per GPU. ``processes`` are the pids whose memory on a GPU is the trainer's own."""
    reads = (*_READS.values(), lambda handle: _mine(handle, processes))
    return [_value(read, handle) for read in reads for _, handle in gpus]


def _value(read: Callable[[Any], float], handle: Any) -> float:
    try:
        return float(read(handle))
    except pynvml.NVMLError:
        return float("nan")


def _mine(handle: Any, processes: set[int]) -> float:
    """Bytes; NaN where none of the GPU's processes is ours: in a container they have other numbers."""
    found = [p.usedGpuMemory for p in pynvml.nvmlDeviceGetComputeRunningProcesses(handle) if p.pid in processes]
    return float(sum(found)) if found and None not in found else float("nan")
