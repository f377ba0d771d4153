"""What people call their numbers, as nnwatch metrics. A name that is not in the table becomes ``user.NAME``."""

from __future__ import annotations

import re
from typing import NamedTuple

MOST = 256
"""Different names that are taken of one log."""
LENGTH = 80
"""Characters of a name that are kept."""

_TRAIN = r"(?:train|training|tr)"
_VAL = r"(?:val|valid|validation|eval|evaluation|dev)"
_LOSS = r"(?:total_)?loss(?:_total)?"
_ACCURACY = r"(?:binary_|categorical_|sparse_categorical_|top1_)?acc(?:uracy)?"
_PART = r"(?:step|epoch|batch)"
"""How often a value was made, as Lightning and Keras write it before or behind the name."""


class Name(NamedTuple):
    """One row of the table: the metric, names that mean it, and the pattern that finds them.

    Patterns are matched against the whole name in lower case, with every run of ``/ . : -`` and blanks as one ``_``.
    """

    metric: str
    examples: tuple[str, ...]
    pattern: re.Pattern[str]


def _of(stage: str, quantity: str) -> str:
    return rf"(?:{_PART}_)?(?:{stage}_(?:{_PART}_)?{quantity}|{quantity}_{stage})(?:_{_PART})?"


def _name(metric: str, pattern: str, *examples: str) -> Name:
    return Name(metric, examples, re.compile(pattern))


TABLE = (
    _name("loss.train", rf"(?:{_PART}_)?{_LOSS}(?:_{_PART})?|{_of(_TRAIN, _LOSS)}",
          "loss", "train_loss", "train/loss", "Loss/train", "training_loss", "train_loss_step", "epoch_loss"),
    _name("loss.val", _of(_VAL, _LOSS),
          "val_loss", "val/loss", "Loss/val", "eval_loss", "eval/loss", "validation_loss", "valid_loss", "dev_loss"),
    _name("accuracy.train", rf"(?:{_PART}_)?{_ACCURACY}(?:_{_PART})?|{_of(_TRAIN, _ACCURACY)}",
          "accuracy", "acc", "train_acc", "train/accuracy", "Accuracy/train", "epoch_accuracy"),
    _name("accuracy.val", _of(_VAL, _ACCURACY),
          "val_acc", "val_accuracy", "val/acc", "eval_accuracy", "eval/accuracy", "Accuracy/val"),
    _name("lr", rf"(?:(?:{_TRAIN}|{_PART}|optim|optimizer|schedule|hyperparameters|charts)_)?"
                rf"(?:lr|learning_rate)(?:_(?:{_PART}|pg\d+|group_?\d+|param_group_?\d+|\d+|(?:[a-z0-9]*(?:adam|sgd|lion|rmsprop|lbfgs|muon)[a-z0-9]*)))*",
          "lr", "learning_rate", "lr-AdamW", "lr-SGD/pg1", "train/lr", "train/learning_rate", "epoch_learning_rate"),
    _name("grad.norm", rf"(?:(?:{_TRAIN}|optim)_)?(?:total_)?grad(?:ient)?s?(?:_2(?:_0)?)?_norm(?:_total|_{_PART})?",
          "grad_norm", "train/grad_norm", "gradient_norm", "total_grad_norm", "grad_2.0_norm_total"),
    _name("epoch", rf"(?:{_TRAIN}_)?epochs?", "epoch", "train/epoch"),
)  # fmt: skip


def metric_of(name: str) -> str | None:
    """The metric that a name means, None where it is one of the user's own."""
    plain = re.sub(r"[/.:\-\s_]+", "_", name.strip().lower()).strip("_")
    return next((row.metric for row in TABLE if row.pattern.fullmatch(plain)), None)


class Names:
    """The names of one log, each given a metric when it is first seen.

    Two that mean the same (``train_loss_step`` and ``train_loss_epoch``) are not mixed: the first keeps the metric, the
    other goes by its own name.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, str | None] = {}
        self.left_out: list[str] = []
        """Names that came when there were ``MOST`` already."""

    def metric(self, name: str, value: float) -> str | None:
        """The metric of a name, None for one that is left out; ``value`` is the first one that came by it."""
        if name not in self._metrics:
            self._metrics[name] = self._chosen(name, value)
        return self._metrics[name]

    def _chosen(self, name: str, value: float) -> str | None:
        taken = set(self._metrics.values())
        if len(taken) >= MOST:
            self.left_out.append(name)
            return None
        metric = metric_of(name)
        if metric is not None and metric.startswith("accuracy") and not value <= 1:
            metric = None  # in per cent, or something else that is called so
        own = "user." + "".join(c if c.isprintable() else "?" for c in name)[:LENGTH]
        metric = own if metric is None or metric in taken else metric
        return metric if metric not in taken else None
