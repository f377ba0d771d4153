"""A look at the variables of a running function leaves nothing behind.

What is looked at has no assert of its own: pytest's rewriting of these names ``locals``, where nothing is read.
"""

from __future__ import annotations

import sys
import weakref
from types import FrameType
from typing import Any

from nnwatch.probes.variables import MISSING, stands_for, variables


class Thing:
    pass


def _look() -> dict[str, Any]:
    return dict(variables(sys._getframe(1)))


def test_variables_of_a_function_by_name() -> None:
    inner = 3

    def nested() -> tuple[dict[str, Any], int]:
        own = "x"
        return _look(), len(own) + inner

    found, _ = nested()
    assert found == {"own": "x", "inner": 3}


def test_variables_of_a_module_are_its_globals() -> None:
    module: dict[str, Any] = {"look": _look}
    exec("epoch = 7\nfound = look()\nleft = epoch", module)
    assert module["found"]["epoch"] == 7
    assert module["left"] == 7


def test_what_was_seen_dies_when_the_function_lets_go_of_it() -> None:
    def train() -> tuple[bool, object]:
        thing = Thing()
        alive = weakref.ref(thing)
        seen = _look()["thing"] is thing
        del thing
        return seen, alive()

    assert train() == (True, None)


def test_what_a_suspended_generator_holds_dies_with_its_name() -> None:
    def generator():
        thing = Thing()
        yield weakref.ref(thing)
        del thing
        yield

    running = generator()
    alive = next(running)
    assert variables(running.gi_frame)["thing"] is alive()
    next(running)
    assert alive() is None


def test_the_dictionary_that_locals_gave_the_user_stays_as_it_was() -> None:
    def train(rate: float = 0.1) -> tuple[dict[str, Any], set[str]]:
        settings = locals()
        before = set(settings)
        epoch = 1
        _look()
        del epoch
        return settings, before

    settings, before = train()
    assert set(settings) == before == {"rate"}


def test_the_dictionary_that_somebody_else_holds_is_not_emptied() -> None:
    def held(frame: FrameType) -> Any:
        return frame.f_locals

    def train() -> tuple[Any, Any]:
        rate = 0.1
        mine = held(sys._getframe())
        return _look()["rate"], mine["rate"] if rate else None

    assert train() == (0.1, 0.1)


def test_names_that_the_user_wrote_by_exec_stay() -> None:
    def run() -> Any:
        exec("hidden = 5")
        _look()
        return eval("hidden") if sys.version_info < (3, 13) else 5

    assert run() == 5


def test_under_a_debugger_nothing_is_read() -> None:
    def tracer(*_: Any) -> None:
        return None

    def train() -> bool:
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            return "before" in _look()
        finally:
            sys.settrace(before)

    assert train() == (sys.version_info >= (3, 13))


def test_a_name_of_the_functions_own_hides_a_global_one() -> None:
    module: dict[str, Any] = {"ask": lambda name: stands_for(name, sys._getframe(1)), "n": 1, "m": 2}
    exec("def run():\n    if False:\n        n = 3\n    return ask('n'), ask('m'), ask('none')\nfound = run()", module)
    assert module["found"] == (MISSING, 2, MISSING)
