"""Lightning: two batches a step, validation after each epoch, clipping; it logs both losses."""

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from lightning.pytorch.loggers import CSVLogger
from own import Own
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = torch.randn(60, 5), torch.randint(0, 3, (60,))
own = Own()
losses, user = [], {"train_loss": [], "val_loss": []}
own.know(framework="lightning", planned_steps=15, steps_per_epoch=5, accumulation=2, user=user)


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))

    def training_step(self, batch, index):
        loss = F.cross_entropy(self.layers(batch[0]), batch[1])
        losses.append(loss.item())
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, index):
        loss = F.cross_entropy(self.layers(batch[0]), batch[1])
        own.validated(loss, len(batch[0]))
        self.log("val_loss", loss)

    def on_train_epoch_start(self):
        own.phase("train")

    def on_validation_epoch_start(self):
        own.phase("val")

    def on_validation_epoch_end(self):
        if not self.trainer.sanity_checking:
            user["val_loss"].append([self.trainer.global_step, sum(v["loss"] for v in own.val[-2:]) / 2])

    def on_before_optimizer_step(self, optimizer):
        own.gradients(self.named_parameters())

    def on_train_batch_end(self, outputs, batch, index):
        if len(losses) == 2:
            if self.trainer.global_step % 5 == 0:
                user["train_loss"].append([self.trainer.global_step, losses[-1]])
            mean = sum(losses) / 2
            own.step(loss=mean, root=mean / 2, lr=[0.1], batch=8, epoch=self.current_epoch + 1)
            losses.clear()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


model = Net()
trainer = pl.Trainer(
    max_epochs=3, accumulate_grad_batches=2, accelerator="cpu", logger=CSVLogger("."), log_every_n_steps=5,
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
)  # fmt: skip
loader = DataLoader(TensorDataset(x[:40], y[:40]), batch_size=4, shuffle=True)
trainer.fit(model, loader, DataLoader(TensorDataset(x[40:], y[40:]), batch_size=10))
own.end(model)
