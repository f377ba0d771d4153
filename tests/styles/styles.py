"""The ways people train, a row of probes/STYLES.md each."""

from __future__ import annotations

from typing import NamedTuple


class Style(NamedTuple):
    """``script`` with its arguments is run; ``lacks`` says of what the script knows and nnwatch does not why not."""

    title: str
    script: str
    lacks: dict[str, str] = {}  # noqa: RUF012 - never written to
    ranks: int = 1
    needs: tuple[str, ...] = ()
    """Modules of the framework."""
    twin: bool = True
    """The script's result is the same whenever it is run."""


NO_OPTIMIZER = "without an optimizer of torch's nothing says which tensors are trained"
NO_TARGET = "neither a loader nor a loss function of torch's says how many samples there are"

STYLES = (
    Style("plain loop", "plain"),
    Style("functional, `w -= lr * w.grad`", "functional backward"),
    Style("functional, `torch.autograd.grad`", "functional grad"),
    Style("nn.CrossEntropyLoss", "losses module"),
    Style("class weights", "losses weights"),
    Style("label smoothing", "losses smoothing"),
    Style("ignore_index", "losses ignore"),
    Style("soft targets", "losses soft"),
    Style("log_softmax and nll_loss", "losses nll"),
    Style("multi-label", "losses multi-label"),
    Style("binary_cross_entropy", "losses binary"),
    Style("loss written by hand", "losses hand-written", lacks={"batch": NO_TARGET}),
    Style("regression", "losses regression"),
    Style("SmoothL1Loss", "losses huber"),
    Style("reduction='sum', divided by hand", "losses sum"),
    Style("reduction='none', mean by hand", "losses none"),
    Style("several losses (VAE)", "terms"),
    Style("language model, (B*T, V)", "language"),
    Style("loss inside forward (Hugging Face)", "gpt2", needs=("transformers",)),
    Style("gradient accumulation", "accumulation"),
    Style("AMP bfloat16, GradScaler", "amp bfloat16"),
    Style("AMP float16, GradScaler", "amp float16"),
    Style("gradient clipping", "clipping"),
    Style("L-BFGS, closure", "closure"),
    Style("two optimizers (GAN)", "gan"),
    Style("actor-critic", "actor_critic"),
    Style("fused optimizer", "optimizers fused"),
    Style("foreach optimizer", "optimizers foreach"),
    Style("parameter groups", "optimizers groups"),
    Style("Optimizer subclass", "optimizers subclass"),
    Style(
        "duck-typed optimizer",
        "optimizers duck-typed",
        lacks=dict.fromkeys(("activation", "gradients", "lr", "model", "updates", "weights"), NO_OPTIMIZER),
    ),
    Style("torch.compile", "compiled aot_eager model"),
    Style("torch.compile, the loss too", "compiled eager both"),
    Style("torch.jit.script", "scripted"),
    Style("checkpointing", "checkpointing plain"),
    Style("checkpointing, reentrant", "checkpointing reentrant"),
    Style("torch.func.grad", "transforms grad"),
    Style("torch.func.grad_and_value", "transforms grad_and_value"),
    Style(
        "vmap over per-sample gradients",
        "transforms vmap",
        lacks={"gradient": "one of each sample: what is made of them is the script's own affair"},
    ),
    Style("low-rank adapters", "adapters"),
    Style("validation", "validation nothing"),
    Style("validation in inference_mode", "validation inference"),
    Style("validation without eval()", "validation eval"),
    Style("validation without no_grad()", "validation no_grad"),
    Style("validation without either", "validation both"),
    Style("forked loader workers", "workers fork"),
    Style("spawned loader workers", "workers spawn"),
    Style("IterableDataset", "workers stream"),
    Style("a new loader each epoch", "workers anew"),
    Style("Lightning", "lightning_fit", needs=("lightning",)),
    Style("Hugging Face Trainer", "trainer_fit", needs=("transformers", "accelerate")),
    Style("Keras 3 on torch", "keras_fit", needs=("keras",)),
    Style("Accelerate", "accelerate_loop", needs=("accelerate",)),
    Style("Ignite", "ignite_run", needs=("ignite",)),
    Style("skorch", "skorch_fit", needs=("skorch",)),
    Style("fastai", "fastai_fit", needs=("fastai",)),
    Style("DDP, two ranks", "ranks ddp", ranks=2),
    Style("FSDP2, two ranks", "ranks fsdp2", ranks=2),
)

PARTS = 4


def runs() -> list[tuple[Style, ...]]:
    """The styles by the `nnwatch run` that sees them. The plain loop, frameworks and ranks have one each; the others
    share a few, as importing torch takes longer than all they do."""
    shared = [style for style in STYLES[1:] if not style.needs and style.ranks == 1]
    alone = [(style,) for style in STYLES if style not in shared]
    return [tuple(shared[part::PARTS]) for part in range(PARTS)] + alone
