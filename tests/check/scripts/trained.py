import torch
from sklearn.datasets import load_digits
from torch import nn
from transformers import Trainer, TrainingArguments

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
rows = [{"x": torch.tensor((a - 4.9) / 6, dtype=torch.float32), "labels": int(b)} for a, b in zip(x, y)]


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


arguments = TrainingArguments(
    "out",
    num_train_epochs=6,
    per_device_train_batch_size=32,
    learning_rate=1e-3,
    report_to=[],
    save_strategy="no",
    use_cpu=True,
    disable_tqdm=True,
)
Trainer(Digits(), arguments, train_dataset=rows[:1400], eval_dataset=rows[1400:]).train()
