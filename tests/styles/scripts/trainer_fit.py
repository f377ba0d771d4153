"""The Hugging Face Trainer: two batches a step, evaluation after each epoch, a tiny GPT-2."""

import torch
from own import Own
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

torch.manual_seed(0)
config = GPT2Config(vocab_size=19, n_positions=12, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
model = GPT2LMHeadModel(config)
rows = [{"input_ids": tokens, "labels": tokens} for tokens in torch.randint(0, 19, (40, 10))]
own = Own()
user = {"loss": [], "learning_rate": [], "eval_loss": []}
own.know(framework="transformers", planned_steps=15, accumulation=2, user=user)
logged = []


class Watcher(TrainerCallback):
    def on_epoch_begin(self, args, state, control, **kwargs):
        own.phase("train")

    def on_evaluate(self, args, state, control, **kwargs):
        own.phase("val")

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        own.gradients(model.named_parameters())
        self.rate = kwargs["optimizer"].param_groups[0]["lr"]

    def on_step_end(self, args, state, control, **kwargs):
        own.step(lr=[self.rate] * 2, epoch=int(state.epoch - 1e-6) + 1, batch=8)

    def on_log(self, args, state, control, logs, **kwargs):
        for name, values in user.items():
            if name in logs:
                values.append([state.global_step, logs[name]])


arguments = TrainingArguments(
    "out", num_train_epochs=3, per_device_train_batch_size=4, gradient_accumulation_steps=2, eval_strategy="epoch",
    logging_steps=1, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True, learning_rate=3e-3,
)  # fmt: skip
trainer = Trainer(model=model, args=arguments, train_dataset=rows, eval_dataset=rows[:8], callbacks=[Watcher()])
trainer.train()
own.steps["loss"] = [value for _, value in user["loss"]]
own.end(model)
