"""A Hugging Face model makes its loss in forward, from the labels it is given."""

import torch
from own import Own
from transformers import GPT2Config, GPT2LMHeadModel

torch.manual_seed(0)
config = GPT2Config(vocab_size=19, n_positions=12, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
model = GPT2LMHeadModel(config)
model.train()
tokens = torch.randint(0, 19, (8, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
own = Own()
own.know(planned_steps=21, classes=19)

for step in range(21):
    output = model(input_ids=tokens, labels=tokens)
    optimizer.zero_grad()
    output.loss.backward()
    own.gradients(model.named_parameters())
    optimizer.step()
    guess = output.logits[:, :-1].argmax(-1)
    right = (guess == tokens[:, 1:]).float().mean()
    own.step(loss=output.loss, root=output.loss, lr=[3e-3], accuracy=right)
own.end(model)
