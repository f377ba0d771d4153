"""Hooks on modules, for the time of a training pass only.

The outermost module carries a pre-hook; on a sampled step that one puts hooks on the activation layers and takes them
away when the pass is over, also when it raised. So validation, saving, copying and exporting never meet a layer hook
(some modules choose another numerical path when they see one).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from .activations import KINDS, Activations
from .attention import Attention
from .attribution import attribute, restore
from .batch import padding_indices
from .batchnorm import BatchNorm
from .carried import Carrier, Swapped, carried
from .entrances import Entrances
from .fetch import Fetch
from .functions import ACTIVATIONS, Functions, Watcher
from .fused import Fused
from .lane import Lane
from .model import Model, plain, prefixes
from .modes import Modes
from .nested import tensors
from .sample import Sample
from .standby import KEY
from .undo import Begun
from .written import Written

if TYPE_CHECKING:
    from .plans import Plans

FUNCTIONAL = 32
"""Functional activations told apart in one pass."""


class Call(NamedTuple):
    """A call of the outermost module; its arguments live until the step, or the validation batch, is over."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    begun: Begun | None


class Layers:
    """Hooks of one model. ``failed(error)`` takes every error of ours; none reaches the user's forward pass."""

    def __init__(self, lane: Lane, fetch: Fetch, failed: Callable[[Exception], None]) -> None:
        self._lane = lane
        self._fetch = fetch
        self._failed = failed
        self.call: Call | None = None
        """The last one in training."""
        self.written = Written(failed)
        self.fused = Fused()
        self.calls = 0
        """Of the model in training, in the step that is being made."""
        self.output: Any = None
        """What the last of them gave, where ``keep`` is set."""
        self.keep = False
        self.versions: list[int] = []
        """Of the tensors that went in, where ``keep`` is set: they rise when one is overwritten."""
        self.other: Call | None = None
        """The last one that was not."""
        self.spent = False
        """A validation loss has been told of a call of the whole model: what is called after that are parts of it."""
        self.leaves: list[tuple[weakref.ref[nn.Module], str]] = []
        self.carriers: list[Carrier] = []
        self._norms: list[tuple[weakref.ref[nn.Module], str]] = []
        self.widths: set[int] = set()
        self._hooked: list[nn.Module] = []
        self._names: dict[int, str] = {}
        self._inside: nn.Module | None = None
        self._exchanged = False
        """Has the pass exchanged ``warnings.warn``?"""
        self._mode: Functions | None = None
        self._swapped: Swapped | None = None
        self._leaf = False
        self._functions = 0
        self.plans: Plans | None = None
        """Of a routine sample (`routine.py`), where the coming passes are measured by one."""
        self._functional: bool | None = None
        """Has a pass called an activation that is no module? None until one was watched."""
        self._resting = False
        self._draws = True
        """Did the last pass that was measured the long way draw random numbers? Only then their state is noted."""
        self.thorough = False
        """Are attention and BatchNorm looked at in the coming step?"""
        self.evaluating = False
        """Is functional dropout looked at in the coming pass that is not training?"""
        self._entrances = Entrances(lane, self._enter, self._leave, failed)
        self._forget()

    def _forget(self) -> None:
        """Nothing of another model."""
        self.activations = Activations()
        self.attention = Attention(self._fetch)
        self.batchnorm = BatchNorm(self._fetch)
        self.modes = Modes()
        self.padding: dict[int, int] = {}
        """As of ``padding_indices``."""
        saw: dict[Any, Watcher] = dict.fromkeys(ACTIVATIONS, self._saw)
        self._watchers = saw | self.modes.watchers
        self._more_watchers = self._watchers | self.attention.watchers

    def adopt(self, model: Model) -> None:
        """Find where a pass may begin and the layers to look at."""
        self.remove()
        self._forget()
        self._functional = None
        self.modes.adopt(model)
        self.padding = padding_indices(model)
        self.fused = Fused(model.roots)
        roots = model.roots
        self._entrances.adopt(roots)
        self.leaves, self.carriers, self._norms, self.widths = [], [], [], set()
        for root, prefix in zip(roots, prefixes(roots), strict=True):
            if isinstance(root, nn.DataParallel):  # its replicas run in threads
                continue
            for name, module in root.named_modules():
                self.attention.names[id(module)] = prefix + plain(name)
                self.carriers += carried(module)
                if isinstance(module, KINDS):
                    self.leaves.append((weakref.ref(module), prefix + plain(name)))
                elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                    self._norms.append((weakref.ref(module), prefix + plain(name)))
                elif isinstance(module, nn.Conv1d):
                    self.widths.add(module.out_channels)

    @property
    def state(self) -> str:
        """ "none", "call" (the outermost call is noted), "modes" (its functional dropout too, in evaluation) or "all"
        (its layers are measured)."""
        return self._entrances.state

    @property
    def modular(self) -> bool:
        """Are the activations and the dropout all modules, or functions that modules hold and call once each in a pass;
        and are their outputs for a routine sample?"""
        held = self._functional is False or self._functions == len(self.carriers) > 0
        return held and not self.modes.functional and self.activations.plain

    def put(self, sample: Sample, labels: Callable[..., int]) -> None:
        """Write what this step's forward passes showed."""
        self.activations.put(sample, labels)
        self.attention.put(sample, labels)
        self.batchnorm.put(sample, labels)

    def place(self, state: str) -> None:
        """Put the hooks there that the coming step needs."""
        self._resting = False
        self.written.end()
        if state == self.state:
            return
        if state == "none" or self.state == "none":
            self.remove()
        light = (state == "call" or self.plans is not None) and not self._draws and not torch.cuda.is_initialized()
        self._entrances.place(state, light)

    def remove(self) -> None:
        """No hook of ours is on any module after this."""
        self.written.end()
        self._lane.pass_over()
        if self._inside is not None:
            self._end()
        self._entrances.remove()

    # a pass of a sampled step

    def see_once(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Measure a pass that has just begun, and none after it before ``place``: it may be no training yet."""
        self.place("all")
        if self._entrances.has(module):  # else nothing would tell when the pass is over
            self._enter(module, args, {})
            self._resting = True

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_compiling():
            return
        try:
            self.written.pause()
            if self._inside is None and not self._resting:
                training = module.training and torch.is_grad_enabled()
                self.modes.called(module)
                random = self._draws or self.keep or (self.state == "all" and self.plans is None)
                call = Call(module, args, kwargs, Begun.now(random) if training else None)
                if training:
                    self.call = self._outer(self.call, call)
                    self.calls += 1
                    if self.keep:
                        self.versions = versions(args, kwargs)
                    if self.state == "all":
                        self._begin(module)
                else:
                    if id(module) in self._entrances.outermost or not self.spent:
                        self.other, self.spent = self._outer(self.other, call), False
                    wanted = self.evaluating and self.modes.functional and self.state in ("all", "modes")
                    if wanted and not self.fused.parts:
                        self._inside, self._exchanged = module, attribute()
                        self._watch_functions(self.modes.watchers, evaluating=True)
                    self.evaluating = False
        except Exception as error:
            self._failed(error)

    def pass_in_c(self) -> tuple[Any, ...] | None:
        """What `pass.c` needs to do a pass of a routine sample by itself; None where it cannot."""
        return self.plans.in_c if self.plans is not None and self._entrances.in_c else None

    def entered(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A call in training that the lane has noted instead: it drew no random numbers, without autocast."""
        self.modes.called(module)
        self.call = self._outer(self.call, Call(module, args, kwargs, Begun(None, (), ())))
        self.calls += 1

    def spend(self) -> None:
        """A validation loss has been told of the last call that was not training."""
        self.spent |= self.other is not None and id(self.other.module) in self._entrances.outermost
        self.other = None

    def _outer(self, before: Call | None, call: Call) -> Call:
        """Of two calls the later one, unless it is of a part of the model, called by the model."""
        outermost = self._entrances.outermost
        inner = before is not None and id(before.module) in outermost and id(call.module) not in outermost
        return before if inner and before is not None else call

    def _begin(self, module: nn.Module) -> None:
        self._inside, self._exchanged = module, attribute()
        fused = self.fused.parts
        if self.plans is not None:
            self._swapped = self.plans.functions
            self._swapped.begin()
            for ref, hook, calls in self.plans.layers:
                layer = ref()
                if layer is not None and id(layer) not in fused:
                    calls[0] = 0
                    layer._forward_hooks[KEY] = hook  # type: ignore[index]
                    self._hooked.append(layer)
            return
        self.activations.begin()
        self._functions = 0
        for ref, name in self.leaves:
            leaf = ref()
            if leaf is not None and id(leaf) not in fused:
                self._names[id(leaf)] = name
                leaf._forward_pre_hooks[KEY] = self._leaf_enters  # type: ignore[index]
                leaf._forward_hooks[KEY] = self._leaf_leaves  # type: ignore[index]
                self._hooked.append(leaf)
        if self.thorough:
            for ref, name in self._norms:
                norm = ref()
                if norm is not None:
                    self._names[id(norm)] = name
                    norm._forward_pre_hooks[KEY] = self._norm_enters  # type: ignore[index]
                    self._hooked.append(norm)
        wanted = self.thorough or self._functional is not False or self.modes.functional
        if wanted and not fused:  # each function of the pass costs 10 us and more
            self._watch_functions(self._more_watchers if self.thorough else self._watchers)

    def _watch_functions(self, watchers: dict[Any, Watcher], evaluating: bool = False) -> None:
        self.modes.begin(evaluating)
        self._mode = Functions(watchers, self._failed)
        self._mode.__enter__()  # type: ignore[no-untyped-call]

    def _leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._inside is module:
            if self.keep:
                self.output = output
            self._end()
            if self.call is not None and self.call.begun is not None and self.call.begun.cpu is not None:
                self._draws = self.call.begun.drawn()
            self._follow(output)
        elif self.other is not None and self.other.module is module and not torch.is_grad_enabled():
            self._follow(output)

    def _follow(self, output: Any) -> None:
        """The model has given ``output``: what becomes of it?"""
        try:
            self.written.follows(output, self.thorough or self.keep)
        except Exception as error:
            self._failed(error)

    def _end(self) -> None:
        self._inside = None
        restore(self._exchanged)
        self._leaf = False
        for leaf in self._hooked:
            leaf._forward_pre_hooks.pop(KEY, None)  # type: ignore[call-overload]
            leaf._forward_hooks.pop(KEY, None)  # type: ignore[call-overload]
        self._hooked.clear()
        self._names.clear()
        if self._swapped is not None:
            self._swapped.end()
            self._swapped = None
        mode, self._mode = self._mode, None
        if mode is not None:
            mode.leave()
            self._functional = bool(self._functional)

    def _leaf_enters(self, module: nn.Module, args: Any) -> None:
        self._leaf = True

    def _leaf_leaves(self, module: nn.Module, args: Any, output: Any) -> None:
        self._leaf = False
        if isinstance(output, torch.Tensor):
            try:
                with torch._C.DisableTorchFunction():  # our own operations need not pass through our own mode
                    self._see(self._names.get(id(module), ""), type(module), output)
            except Exception as error:
                self._failed(error)

    def _norm_enters(self, module: nn.Module, args: Any) -> None:
        try:
            with torch._C.DisableTorchFunction():
                self.batchnorm.see(self._names.get(id(module), ""), module, args)
        except Exception as error:
            self._failed(error)

    def _saw(self, func: Any, args: Any, kwargs: Any, output: Any) -> None:
        """A functional activation; one that a module of its own calls is that module's."""
        if not self._leaf and self._functions < FUNCTIONAL and isinstance(output, torch.Tensor):
            self._functions += 1
            self._functional = True
            name, kind = ACTIVATIONS[func]
            self._see(f"{name}() {self._functions}", kind, output)

    def _see(self, name: str, kind: type[nn.Module], output: torch.Tensor) -> None:
        dims = output.dim()
        channels = dims > 3 or (dims == 3 and output.shape[1] in self.widths)
        self.activations.see(name, kind, output, channels, self._fetch)


def versions(args: Any, kwargs: Any) -> list[int]:
    """How often each tensor among the arguments has been written to."""
    return [tensor._version for tensor in tensors([args, kwargs])]
