"""Real logs by the real frameworks: ``python -m tests.logs.make KIND OUT``.

What lies in ``real/`` was made by it once, so that the tests can read every format where its framework is missing.
"""

import csv
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

EVERY, EVALUATED = 50, 200
Values = dict[str, float]


def digits(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of a linear problem of four classes with noise, so that a net can learn it and can learn it by heart."""
    drawn = torch.Generator().manual_seed(seed)
    weights = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    x = torch.randn(rows, 16, generator=drawn)
    return x, (x @ weights + torch.randn(rows, 4, generator=drawn)).argmax(1)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


def loop(steps: int = 2000, rows: int = 4096, rate: Callable[[int], float] = lambda step: 1e-3) -> Iterator[Any]:
    """A plain training: ``("train", step, values)`` every 50 steps and ``("val", step, values)`` every 200."""
    model, (x, y), (vx, vy) = net(), digits(rows, 1), digits(1024, 2)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = rate(step)
        at = torch.randint(0, rows, (64,))
        loss = cross_entropy(model(x[at]), y[at])
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        optimizer.step()
        if step % EVERY == 0:
            yield "train", step, {"loss": loss.item(), "lr": rate(step), "grad_norm": float(norm)}
        if step % EVALUATED == 0:
            with torch.no_grad():
                guess = model(vx)
            accuracy = (guess.argmax(1) == vy).float().mean().item()
            yield "val", step, {"loss": cross_entropy(guess, vy).item(), "accuracy": accuracy}


def tensorboard(out: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(out))
    for stage, step, values in loop():
        for name, value in values.items():
            writer.add_scalar(f"{stage}/{name}", value, step)
    writer.add_histogram("weights", torch.linspace(0, 1, 100), 2000)
    writer.close()


def wandb(out: Path) -> None:
    import wandb

    quiet: Any = dict.fromkeys(("x_disable_meta", "x_disable_stats", "x_disable_machine_info", "disable_git"), True)
    settings = wandb.Settings(console="off", host="here", program="train.py", **quiet)
    out.mkdir(parents=True)
    run = wandb.init(mode="offline", dir=str(out), config={"lr": 1e-3, "net": {"width": 32}}, settings=settings)
    for stage, step, values in loop():
        run.log({f"{stage}/{name}": value for name, value in values.items()} | {"picture": "none"}, step=step)
    run.finish()


def lightning(out: Path) -> None:
    import lightning as L
    from lightning.pytorch.callbacks import LearningRateMonitor
    from lightning.pytorch.loggers import CSVLogger
    from torch.utils.data import DataLoader, TensorDataset

    class Module(L.LightningModule):
        def __init__(self, width: int = 32) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.net = net()

        def training_step(self, batch: Any, index: int) -> Tensor:
            loss = cross_entropy(self.net(batch[0]), batch[1])
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            guess = self.net(batch[0])
            self.log("val_loss", cross_entropy(guess, batch[1]))
            self.log("val_acc", (guess.argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), 1e-3)

    trainer = L.Trainer(
        max_epochs=12, logger=CSVLogger(str(out)), log_every_n_steps=10, callbacks=[LearningRateMonitor("step")],
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, accelerator="cpu",
    )  # fmt: skip
    train = DataLoader(TensorDataset(*digits(4096, 1)), 64, shuffle=True)
    trainer.fit(Module(), train, DataLoader(TensorDataset(*digits(1024, 2)), 256))


def transformers(out: Path) -> None:
    from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments

    class Config(PretrainedConfig):
        model_type = "digits"

    class Model(PreTrainedModel):
        config_class = Config

        def __init__(self, config: Config) -> None:
            super().__init__(config)
            self.net = net()
            self.post_init()

        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            guess = self.net(x)
            return {"loss": cross_entropy(guess, labels), "logits": guess}

    def rows(count: int, seed: int) -> list[dict[str, Tensor]]:
        return [{"x": x, "labels": y} for x, y in zip(*digits(count, seed), strict=True)]

    arguments = TrainingArguments(
        str(out), max_steps=600, per_device_train_batch_size=64, logging_steps=50, eval_strategy="steps",
        eval_steps=100, save_steps=200, report_to=[], disable_tqdm=True, use_cpu=True, learning_rate=1e-3,
    )  # fmt: skip
    trainer = Trainer(
        Model(Config()), arguments, train_dataset=rows(4096, 1), eval_dataset=rows(512, 2),
        compute_metrics=lambda p: {"accuracy": float((np.asarray(p.predictions).argmax(1) == p.label_ids).mean())},
    )  # fmt: skip
    trainer.train()
    for path in out.glob("checkpoint-*/*"):
        if path.name != "trainer_state.json":
            path.unlink()


def keras(out: Path) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    model = keras.Sequential([keras.layers.Dense(32, "relu"), keras.layers.Dense(4)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    out.mkdir(parents=True)
    logger = keras.callbacks.CSVLogger(str(out / "log.csv"))
    data = [part.numpy() for part in digits(4096, 1)]
    model.fit(*data, 64, epochs=10, validation_split=0.2, verbose=0, callbacks=[logger])


def mlflow(out: Path) -> None:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow

    mlflow.set_tracking_uri(f"file:{out.absolute()}")
    mlflow.set_experiment("digits")
    with mlflow.start_run(run_name="baseline"):
        mlflow.log_params({"lr": 1e-3, "width": 32})
        for stage, step, values in loop(1000):
            at = step if stage == "train" else step // EVALUATED  # evaluations are counted, as many do
            mlflow.log_metrics({f"{stage}_{name}": value for name, value in values.items()}, step=at)


def table(out: Path, **how: Any) -> None:
    """A CSV of one's own, as people write it: all columns in each row, empty where there is nothing."""
    columns = ("step", "train_loss", "lr", "grad_norm", "val_loss", "val_accuracy")
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for step, told in itertools.groupby(loop(**how), lambda row: row[1]):
            row: dict[str, Any] = {"step": step}
            for stage, _, values in told:
                row |= {name if name in columns else f"{stage}_{name}": value for name, value in values.items()}
            writer.writerow(row)


def plain(out: Path) -> None:
    table(out / "healthy.csv")


def overfitting(out: Path) -> None:
    table(out / "overfitting.csv", steps=4000, rows=64)


def divergence(out: Path) -> None:
    table(out / "divergence.csv", rate=lambda step: 1e-3 if step < 1200 else 30.0)


KINDS = (tensorboard, wandb, lightning, transformers, keras, mlflow, plain, overfitting, divergence)

if __name__ == "__main__":
    {kind.__name__: kind for kind in KINDS}[sys.argv[1]](Path(sys.argv[2]))
