"""Hooks on the modules where a pass through the model may begin. ``register_forward_hook`` takes 20 times as long as
writing to the dicts, which costs a step nothing measurable."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import nn

from .lane import Lane
from .stages import ENTRY, EXIT
from .standby import KEY

Hook = Callable[[nn.Module, Any, Any], None]


class Entrances:
    """``enter(module, args, kwargs)`` is called before a pass, ``leave(module, args, output)`` after it, also when it
    raised. ``failed(error)`` takes errors of what stands for them in a lane in C."""

    def __init__(self, lane: Lane, enter: Hook, leave: Hook, failed: Callable[[Exception], None]) -> None:
        self._lane = lane
        self._enter = enter
        self._leave = leave
        self._failed = failed
        self._modules: list[weakref.ref[nn.Module]] = []
        self._placed: list[weakref.ref[nn.Module]] = []
        self.outermost: set[int] = set()
        """By id()."""
        self._light_enter = [self._in_c(ENTRY, enter, outermost) for outermost in (False, True)]
        """By whether the module is outermost."""
        self._light_leave = self._in_c(EXIT, leave)
        self.state = "none"
        """As of ``Layers``."""

    @property
    def in_c(self) -> bool:
        return self._light_leave is not None

    def adopt(self, roots: Iterable[nn.Module]) -> None:
        """Those of a model, while no hook is on any."""
        self._modules = []
        self.outermost = {id(root) for root in roots}
        for root in roots:
            if not isinstance(root, nn.DataParallel):  # its replicas run in threads
                self._modules += [weakref.ref(module) for module in _entries(root)]

    def place(self, state: str, light: bool) -> None:
        """Where there are none or of another kind; ``light``: with what stands for the hooks in C, if there is such."""
        if state != "none" and not self._placed:
            self._placed = list(self._modules)
        for module in self._hung():
            enter, leave = (
                (self._light_enter[id(module) in self.outermost], self._light_leave) if light else (None, None)
            )
            module._forward_pre_hooks[KEY] = enter or self._enter  # type: ignore[index]
            module._forward_pre_hooks_with_kwargs[KEY] = True  # type: ignore[index]
            if state != "call":
                module._forward_hooks[KEY] = leave or self._leave  # type: ignore[index]
                module._forward_hooks_always_called[KEY] = True  # type: ignore[index]
            else:
                module._forward_hooks.pop(KEY, None)  # type: ignore[call-overload]
                module._forward_hooks_always_called.pop(KEY, None)  # type: ignore[call-overload]
        self.state = state

    def remove(self) -> None:
        for module in self._hung():
            for hooks in (
                module._forward_pre_hooks,
                module._forward_pre_hooks_with_kwargs,
                module._forward_hooks,
                module._forward_hooks_always_called,
            ):
                hooks.pop(KEY, None)  # type: ignore[call-overload]
        self._placed.clear()
        self.state = "none"

    def has(self, module: nn.Module) -> bool:
        """Is a hook on it?"""
        return any(module is each for each in self._hung())

    def _hung(self) -> list[nn.Module]:
        """Modules with hooks of ours; the user may have let go of one."""
        return [module for ref in self._placed if (module := ref()) is not None]

    def _in_c(self, stage: int, hook: Hook, outermost: bool = False) -> Any:
        """What stands for ``hook`` in the lane; None where that is not in C."""

        def plain(module: nn.Module, args: Any, more: Any) -> None:
            hook(module, args, more)

        made = self._lane.patch(stage, "", plain, plain, outermost, lambda error, _: self._failed(error))
        if made is not None:
            made._torchdynamo_inline = plain
        return made


def _entries(root: nn.Module) -> Iterator[nn.Module]:
    """Where a pass through a model may begin: the outermost module, or, where that one's forward is not what
    is called (a LightningModule, a container of parts), the modules right under it."""
    yield root
    if not isinstance(root, nn.Sequential):
        for child in root.children():
            if any(parameter.requires_grad for parameter in child.parameters()) and any(child.children()):
                yield child
