"""Writes a run for another tool, in that tool's own interpreter: ``python feed_peer.py wandb|tensorboard FOLDER STEPS
SECONDS`` logs four numbers in each of so many steps, says ``written``, and goes on with ten steps a second."""

import math
import os
import random
import sys
import time


def wandb_log(folder):
    os.environ["WANDB_SILENT"] = "true"
    import wandb

    settings = wandb.Settings(console="off", x_disable_stats=True)
    return wandb.init(mode="offline", dir=folder, project="bench", settings=settings).log


def tensorboard_log(folder):
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(folder, flush_secs=1)
    step = 0

    def log(numbers):
        nonlocal step
        step += 1
        values = [summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in numbers.items()]
        writer.add_event(event_pb2.Event(step=step, wall_time=time.time(), summary=summary_pb2.Summary(value=values)))

    return log


def main(tool, folder, steps, seconds):
    log = {"wandb": wandb_log, "tensorboard": tensorboard_log}[tool](folder)
    noise = random.Random(0)
    last = steps + int(10 * seconds)
    for n in range(1, last + 1):
        loss = 2.3 / (1 + 20 * n / steps) * math.exp(noise.gauss(0, 0.1))
        log({"loss": loss, "lr": 0.1, "grad.norm": 1.0, "step.seconds": 0.1})
        if n == steps:
            print("written", flush=True)
        if n >= steps:
            time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
