"""What `nnwatch check` tried: the data of an event named ``trial``, one event an experiment.

Standard library only: the experiments run in the training process, the checks that judge them in the advisor. Every
loss is the mean over the batch as the script's own loss function gives it, every rate a learning rate.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

EVENT = "trial"
STEP = "nnwatch.step(model, loss_fn, x, y)"
"""The line that makes a step known where it cannot be seen."""

NAMES = (
    "model", "data", "baselines", "overfit", "input", "gradient", "range", "scheduler", "custom", "twice",
    "containment",
)  # fmt: skip
"""Every experiment, in the order in which they are told."""

LossKind = Literal["cross-entropy", "binary-cross-entropy", "mse", "l1", "other"]


class Trial(TypedDict):
    """Common to all. Where ``state`` is "not possible" there is nothing but these four keys."""

    trial: str
    state: Literal["done", "not possible"]
    why: str | None
    """Why it was not possible, one sentence."""
    line: str | None
    """The line in the script that would make it possible."""


class Rung(TypedDict):
    """One optimizer of the ladder; ``first`` and ``last`` loss of its ``steps``."""

    optimizer: str
    rate: float
    first: float
    last: float
    steps: int


class Overfit(Trial):
    """A few samples learned by heart: weights as at the start, no weight decay, no dropout."""

    loss_kind: LossKind
    samples: int
    rungs: list[Rung]
    losses: list[float]
    """Of the rung that ended lowest, step by step."""
    floor: float | None
    """The lowest loss there can be: smoothed or soft labels, equal inputs with unequal targets. None: not known."""
    first: float
    last: float
    accuracy: float | None
    """Share of the samples (positions, of sequences) predicted right at the end; None where it has no meaning."""


class Input(Trial):
    """What weights that know the samples by heart make of other inputs; the targets stay. None: cannot be made."""

    loss: float
    permuted: float | None
    """Every sample has another one's input."""
    blank: float | None
    """Zeros; token 0."""
    noise: float | None
    """Normal noise of the batch's mean and standard deviation; tokens of the batch at random places."""
    samples: int


class Gradient(Trial):
    """The gradient of the loss with respect to the input, in eval mode; tokens count by what is embedded for them."""

    inputs: dict[str, float]
    """Share of the elements with a gradient other than zero, by argument of the model."""
    across: float | None
    """Of the gradient of one sample's output, the share (by absolute value) that lands on other samples."""
    future: float | None
    """Of the gradient of an output at one position, the share that lands on later positions: of the input that the
    targets are later, of every sequence where there is none; None: no sequence."""
    shift: int | None
    """The targets are an input so many positions later; None where they are something else."""


class Range(Trial):
    """The learning rate raised geometrically, one step a rate, from the weights of the start."""

    rates: list[float]
    losses: list[float]
    """Before each step; as long as ``rates``."""
    suggested: float | None
    """Where the smoothed loss fell steepest; None where it did not fall."""
    steepest: int | None
    """Index of ``suggested``."""
    ceiling: float | None
    """The rate at which the loss rose for good; None where none did."""
    present: float
    """The script's own (the highest of its groups)."""
    groups: list[float]
    """The rate of each parameter group, as a multiple of the highest."""


class Twice(Trial):
    """The script run a second time with the same seeds."""

    steps: int
    """Steps that were compared."""
    parted: int | None
    """The first whose losses are not equal; None where all are."""
    losses: list[list[float]]


class Scheduler(Trial):
    """The schedule, played to the end of the training."""

    rates: list[float]
    """Of the first group at evenly spaced steps, the first and the last among them."""
    planned: int
    """Steps that the script plans."""
    order: bool
    """Is the scheduler stepped before the optimizer?"""
    raised: int | None
    """The step after which it refuses to go on, by an exception; ``rates`` end there. None: it does not."""
    intended: float | None
    """The rate that the script set before the schedule changed it."""


class Function(TypedDict):
    """A ``torch.autograd.Function`` of the script's own; ``error`` of its gradient, relative to differences."""

    name: str
    line: str
    error: float


class Custom(Trial):
    functions: list[Function]


class Containment(Trial):
    """What the script could touch, and did."""

    how: Literal["overlay", "landlock", "none"]
    written: list[str]
    """Files of the user's folders that it would have written, the first ones; of "overlay" alone."""
    connections: list[str]
    """``host:port`` that it connected to, without this machine."""
    loaded: list[str]
    """Checkpoints that it loaded before its first step."""


class Model(Trial):
    """What the modules say of themselves, with the weights of the start. Rows of a layer begin with its name and
    class."""

    pools: list[list[Any]]
    """Kernel and stride along each axis, and whether no convolution comes after it."""
    convs: list[list[Any]]
    """Kernel, stride, padding and dilation along each axis, channels that enter and leave."""
    linears: list[list[Any]]
    """Name, features that enter and leave."""
    recurrent: list[list[Any]]
    """Mean bias of the forget gate; None for what is no LSTM."""
    linear_chains: list[list[Any]]
    """Two linear layers with nothing between them, and where they are written."""
    alike: list[str]
    """Layers all of whose units have the same weights."""
    last: dict[str, str]
    """``name`` of the last layer with weights."""
    field: dict[str, Any] | None
    """``size`` in pixels of what an output of the last convolution sees; ``joined``: a later layer sees all of it."""


class Rows(TypedDict, total=False):
    """What one data set is made of; keys that do not apply are absent. Samples are named by their number."""

    rows: int | None
    """None: a stream."""
    read: int
    bytes: int
    shape: list[int]
    dtype: str
    errors: list[tuple[int, str]]
    other_shapes: list[tuple[int, list[int]]]
    nonfinite: list[int]
    constant: list[int]
    bad: dict[str, int]
    """How many of each of the last four."""
    mean: list[float]
    std: list[float]
    """By channel or feature, one number for more than 16."""
    histogram: dict[str, list[float]]
    """``edges`` (first, last) and ``counts``."""
    outliers: list[tuple[int, str, float, float]]
    """Sample, place in it, value, distance from the median in median absolute deviations."""
    seen: bool
    """It is what entered the model in the first steps, each sample once: nothing else was found of the data."""
    duplicates: dict[str, Any] | None
    """``rows`` that occurred before, ``pairs`` of them, how many ``contradict`` each other; not where ``seen``."""
    target: dict[str, Any]
    """``counts`` by label and ``runs`` (z of the runs test), or mean, std, min, max and histogram."""
    boxes: dict[str, float]
    """Share that is ``small`` (under 8 pixels), ``median`` of the shorter side."""
    varies: float
    """Share of samples that differ when they are read again."""
    geometry: dict[str, int]
    """Samples that came out ``flipped``, and those of them whose target stood ``still``."""
    drawn: bool
    """Its rows are a random choice of another data set's."""
    digest: str
    pictures: list[dict[str, Any]]
    """Samples that stand out: sample, why, target, and size and pixels (base64) or values."""


class Data(Trial):
    """The data sets, read for some seconds each."""

    sets: dict[str, Rows]
    """By role: "train", "validation", "test"."""
    leaks: dict[str, dict[str, Any]]
    """By role: ``rows`` compared, ``seen`` in training, ``expected`` by chance, ``pairs``, ``coverage`` of training."""
    groups: dict[str, Any]
    """``name``, how many are ``shared`` ``of`` those in validation; absent where the data do not say."""
    near: dict[str, float]
    """Share of pictures near one of training ``between`` the sets, and ``within`` training; absent for others."""
    generators: list[str]
    """Random generators that the data set itself holds."""
    predictions: list[tuple[str, str, float]]
    """Label, predicted class and confidence of samples of the captured step."""


class Baselines(Trial, total=False):
    """What must be beaten; each has ``loss`` (mean, of the usual loss for such targets) and, for classes,
    ``accuracy``."""

    on: str
    """The samples that it was measured on."""
    majority: dict[str, float]
    mean: dict[str, float]
    linear: dict[str, float]
    suspects: dict[str, Any]
    """``share`` of samples whose label a linear model is sure is another, and ``samples``."""


def impossible(trial: str, why: str, line: str | None = None) -> dict[str, Any]:
    """The data of a trial that could not be made."""
    return {"trial": trial, "state": "not possible", "why": why, "line": line}


def done(trial: str, **found: Any) -> dict[str, Any]:
    """The data of a trial that was."""
    return {"trial": trial, "state": "done", "why": None, "line": None, **found}
