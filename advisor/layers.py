"""The layers of the net: its weight matrices, how far steps move them, and their dead units."""

from __future__ import annotations

import math
import re
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nnwatch.series import Doubles, Floats

from .finding import Abstain
from .losses import Losses
from .window import View

_LAYER = re.compile(r"Linear|Conv")
"""Classes of modules whose weight has a row for each unit."""
_RECURRENT = re.compile(r"\bweight_[ih]h_l?\d*")
"""Parameters of a recurrent layer that mix its input or its state."""

_SLIGHT = 0.2
"""Share of the usual scale of a weight, 1 / sqrt(fan-in), under which one counts as begun at nearly nothing."""


class Layers(Losses):
    """Weight matrices are the parameters with two or more axes; biases, norm gains and tokens (1 x 1 x width) are left
    out."""

    @cached_property
    def matrices(self) -> list[int]:
        """Columns of per-parameter metrics that are weight matrices: biases and norm gains are left out."""
        return self._parameters[0]

    @cached_property
    def matrix_scales(self) -> Doubles:
        """Square root of the number of elements of each weight matrix: its norm when every element is 1."""
        return self._parameters[1]

    @cached_property
    def _parameters(self) -> tuple[list[int], Doubles]:
        """Columns and scales of the weight matrices."""
        labels = self.view("update.ratio").series.labels
        key = "parameters", labels.id if labels else None
        if key not in self._memo:
            view = self.view("update.ratio")
            columns, notes = self.weights(view), view.notes
            self._memo[key] = columns, np.sqrt([float(size(notes[i])) for i in columns])
        found: tuple[list[int], Doubles] = self._memo[key]
        return found

    @cached_property
    def linear(self) -> list[int]:
        """Columns of those weight matrices that are a linear or convolutional layer's, with a row for each unit: class
        tokens, positions and embeddings are none. All matrices where the modules are not known."""
        modules = self.facts.get("modules") or ()
        labels = self.view("update.ratio").series.labels
        key = "linear", len(modules), labels.id if labels else None
        if key not in self._memo:
            names, kinds = self.view("update.ratio").names, {f"{row[0]}.weight": str(row[1]) for row in modules}
            self._memo[key] = [i for i in self.matrices if not modules or _LAYER.search(kinds.get(names[i], ""))]
        found: list[int] = self._memo[key]
        return found

    @cached_property
    def mixing(self) -> list[int]:
        """The same and the matrices of recurrent layers: all that add up many numbers with weights."""
        labels = self.view("update.ratio").series.labels
        key = "mixing", len(self.facts.get("modules") or ()), labels.id if labels else None
        if key not in self._memo:
            names = self.view("update.ratio").names
            self._memo[key] = [i for i in self.matrices if i in self.linear or _RECURRENT.search(names[i])]
        found: list[int] = self._memo[key]
        return found

    @cached_property
    def narrowest(self) -> tuple[int, str] | None:
        """Units and name of the narrowest hidden layer that all has to pass: the next one takes in as many. None where
        there is none; a score for attention goes beside, and adapters are narrow on purpose."""
        if not self.has("update.ratio") or self.facts.get("adapters"):
            return None
        view = self.view("update.ratio")
        key = "narrowest", view.series.labels.id if view.series.labels else None
        if key not in self._memo:
            shapes = [(shape_of(view.notes[i]), view.names[i]) for i in self.linear]
            passed = ((one[0], name) for (one, name), (after, _) in pairwise(shapes) if after[1] == one[0])
            self._memo[key] = min(passed, default=None)
        found: tuple[int, str] | None = self._memo[key]
        return found

    @property
    def strait(self) -> bool:
        """A hidden layer has so few units that on and off do not make as many patterns as there are classes, or one
        unit before four outputs or more of another kind."""
        if self.narrowest is None:
            return False
        units, classes = self.narrowest[0], int(self.facts.get("classes") or 0)
        return 2**units < classes if classes > 2 else units == 1 and self.outputs >= 4

    @property
    def outputs(self) -> int:
        """What the last linear layer gives, 0 where it is not known or a convolution."""
        shapes = [shape_of(self.view("update.ratio").notes[i]) for i in self.linear]
        return shapes[-1][0] if shapes and all(len(shape) == 2 for shape in shapes) else 0

    def weights(self, view: View) -> list[int]:
        """Columns of a metric per parameter that are weight matrices: biases and norm gains are left out."""
        key = "weights", view.series.labels.id if view.series.labels else None
        if key not in self._memo:
            self._memo[key] = [i for i, shape in enumerate(view.notes) if "x" in shape.removeprefix("1x1x")]
        found: list[int] = self._memo[key]
        return found

    def ratios(self, view: View) -> Floats:
        """update.ratio of the weight matrices (n, m). Those that started at about zero, as tables of positions do
        beside the weights that they are added to, do not count (NaN), but for adapters: any step is large against
        nothing."""
        ratios = view.values[:, self.matrices]
        if self.has("weight.norm"):
            norms = self.view("weight.norm")
            at = np.searchsorted(norms.steps, view.steps)
            known = (at < len(norms.steps)) & (norms.steps[np.minimum(at, len(norms.steps) - 1)] == view.steps)
            small = np.zeros(ratios.shape, bool)
            small[known] = norms.values[at[known]][:, self.matrices] < 1e-3 * self.matrix_scales
            if not self.facts.get("adapters"):
                small |= self._slight
            ratios = np.where(small, np.nan, ratios)
        return ratios

    @property
    def _slight(self) -> NDArray[np.bool_]:
        """Which matrices began at about zero, or, being no module's ``weight``, far below the scale that their fan-in
        asks for: tables of positions. Layers that start at a deviation of 0.02, as language models do, are none."""
        norms, labels = self.view("weight.norm"), self.view("update.ratio").series.labels
        key = "slight", labels.id if labels else None
        if key not in self._memo:
            names, notes = self.view("update.ratio").names, self.view("update.ratio").notes
            inner = np.sqrt([float(size(notes[i])) / shape_of(notes[i])[0] for i in self.matrices])
            least = np.where(["weight" in names[i] for i in self.matrices], 1e-3, _SLIGHT / inner)
            self._memo[key] = norms.values[0][self.matrices] < least * self.matrix_scales
        found: NDArray[np.bool_] = self._memo[key]
        return found

    @cached_property
    def first_peak(self) -> tuple[float, int, str]:
        """Largest update.ratio of any weight matrix in the first eight steps, and up to eight steps after the end of a
        warm-up: value, step, parameter."""
        early = max(self.track.segment.first_step, self.lr_warmup_end)
        key = "first peak", early
        if key in self._memo:
            known: tuple[float, int, str] = self._memo[key]
            return known
        peak = self.peak(self.view("update.ratio").before(early + 9).thin(400))
        if self.step >= early + 9:
            self._memo[key] = peak
        return peak

    def peak(self, view: View) -> tuple[float, int, str]:
        """Largest update.ratio of any weight matrix in the view: value, step, parameter. Raises Abstain for none."""
        ratios = self.ratios(view)
        if not np.isfinite(ratios).any():
            raise Abstain("no weight matrix was measured while it moved")
        row, column = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(ratios), ratios, np.nan))), ratios.shape)
        return float(ratios[row, column]), int(view.steps[row]), view.names[self.matrices[column]]

    @cached_property
    def dead(self) -> tuple[float, str]:
        """Share of dead units in the worst layer now, and its name; (0, "") where not measured."""
        if not self.has("act.dead"):
            return 0.0, ""
        return self.once("dead", ("act.dead",), self._dead)

    def _dead(self) -> tuple[float, str]:
        view = self.view("act.dead")
        newest = np.nan_to_num(view.values[-1], nan=-1)
        if newest.max(initial=-1) < 0:
            return 0.0, ""
        worst = int(np.argmax(newest >= 0.95 * newest.max()))  # of equally dead ones the first, where it began
        return float(newest[worst]), view.names[worst]

    def dead_before(self, step: int) -> float:
        """Share of dead units in the worst layer as measured at ``step`` or before; 0 where not measured by then."""
        early = self.view("act.dead").before(step + 1).values if self.has("act.dead") else np.empty((0, 1))
        return float(np.nan_to_num(early).max(initial=0.0))


def shape_of(written: str) -> tuple[int, ...]:
    """Shape of a parameter that is written "128x64"; empty for a single number."""
    return tuple(int(part) for part in written.split("x")) if written else ()


def size(written: str) -> int:
    """Elements of a parameter whose shape is written "128x64"."""
    return math.prod(shape_of(written))
