"""The PyTorch side of `train_speed`, in a process of an environment of its own: needs NumPy and PyTorch alone."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from benchmarks.train_speed_pool import BATCH, CROSSES, DIM, FIELDS, POOL, UNITS, WIDTH, field_sizes, make_pool
from benchmarks.turns import serve

RATE = 1e-3


class Network(nn.Module):
    """The crosses beside the deep network, from (batch, width) to a logit."""

    def __init__(self) -> None:
        super().__init__()
        self.crosses = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(CROSSES))
        widths = [WIDTH, *UNITS]
        parts = [[nn.Linear(a, b), nn.ReLU()] for a, b in itertools.pairwise(widths)]
        self.deep = nn.Sequential(*itertools.chain(*parts))
        self.end = nn.Linear(WIDTH + UNITS[-1], 1)

    def forward(self, start: Any) -> Any:
        x = start
        for cross in self.crosses:
            x = torch.addcmul(x, start, cross(x))
        return self.end(torch.cat([x, self.deep(start)], dim=1))


class Trainer:
    """One table for all fields, the network, and Adam over both.

    Args:
        rows: Rows of the table.
        sparse: Whether the table has sparse gradients and `SparseAdam`, which touches the batch's rows alone.
        how: Adam's implementation, `fused` or `foreach`.
        compiled: Whether the network goes through `torch.compile`.
    """

    def __init__(self, rows: int, sparse: bool, how: str, compiled: bool) -> None:
        self.table = nn.Embedding(rows, DIM, sparse=sparse)
        self.offsets = torch.tensor([0, *itertools.accumulate(field_sizes(rows)[:-1])])
        self.network = Network()
        forward = torch.compile(self.network) if compiled else self.network
        self.forward: Callable[[Any], Any] = forward
        flags: dict[str, Any] = {"lr": RATE, how: True}
        dense = list(self.network.parameters())
        if sparse:
            table = torch.optim.SparseAdam(self.table.parameters(), lr=RATE)
            self.optimizers = [table, torch.optim.Adam(dense, **flags)]
        else:
            self.optimizers = [torch.optim.Adam([*self.table.parameters(), *dense], **flags)]
        self.loss = nn.BCEWithLogitsLoss()

    def step(self, ids: Any, numbers: Any, labels: Any) -> Any:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        fields = self.table(ids + self.offsets).view(BATCH, FIELDS * DIM)
        loss = self.loss(self.forward(torch.cat([fields, numbers], dim=1)), labels)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss.detach()


def timed(trainer: Trainer, data: Any, steps: int) -> float:
    """Returns the seconds of a step."""
    begin = time.perf_counter()
    for batch in itertools.islice(data, steps):
        loss = trainer.step(*batch)
    float(loss)
    return (time.perf_counter() - begin) / steps


def prepare(
    peer: str, rows: int, steps: int, count: int = POOL
) -> tuple[Mapping[str, Any], Callable[..., Mapping[str, Any]]]:
    """Tries Adam's implementations and the compiler, keeps the fastest, and returns it with what is known of it.

    For one step there is nothing to try.
    """
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    pool = make_pool(rows, count)
    arrays = [torch.from_numpy(array) for array in (pool.ids.astype("int64"), pool.numbers, pool.labels)]
    data = itertools.cycle([tuple(array[i] for array in arrays) for i in range(count)])
    sparse = peer == "torch_sparse"
    seconds: dict[tuple[str, bool], float] = {}
    settings = [("fused", False)]
    if steps > 1:
        settings += [("foreach", False), *([("fused", True)] if shutil.which("g++") else [])]
    for setting in settings:
        trainer = Trainer(rows, sparse, *setting)
        timed(trainer, data, 2)
        seconds[setting] = timed(trainer, data, steps)
        del trainer
    best = min(seconds, key=lambda setting: seconds[setting])
    trainer = Trainer(rows, sparse, *best)
    timed(trainer, data, steps)
    tried = {f"{how} compiled={compiled}": value for (how, compiled), value in seconds.items()}
    state = {"adam": best[0], "compiled": best[1], "tried": tried, "version": torch.__version__}
    return state, lambda steps: {"seconds": timed(trainer, data, steps)}


if __name__ == "__main__":
    serve(prepare)
