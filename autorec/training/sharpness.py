"""Settings of sharpness-aware training: SAM, mSAM and their variants."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autorec.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class SharpnessAware:
    """Micro-batch sharpness-aware minimisation (mSAM): seeks weights around which the loss stays low.

    A batch of `n` rows is cut into `micro_batches` shards. With `w` the weights and `L_i` the mean loss of shard `i`,

        g_i = grad L_i(w),    e_i = rho g_i / ||g_i||,    g = sum_i (n_i / n) grad L_i(w + e_i)

    and the optimizer makes one step from `w` by `g` plus the gradient of the regularisers at `w`. The norm is over all
    perturbed variables together. One shard is SAM. Small shards have gradients that differ more, which is a stronger
    pull to flat places. The price is two forward and two backward passes, whatever the number of shards.

    Args:
        rho: Length of the perturbation, 0 or more (default 0.05; try 0.02 to 0.2, ten times that with `adaptive`).
            0 is plain training.
        micro_batches: Shards of a batch, 1 or more (default 8). Those of a batch that does not divide differ by a row;
            a batch of fewer rows has a row a shard. Batch normalization sees a shard at a time: keep 16 rows in each.
        adaptive: Scale the perturbation by the weights (ASAM): `e_i = rho w^2 g_i / || |w| g_i ||`, elementwise.
        every: Perturb each `every`-th step only, 1 or more (default 1); the others are plain, and cost a plain step.
        tables: Perturb embedding tables too, which copies them for each shard. By default a perturbation leaves them
            and its norm leaves them out; they are trained with the averaged gradient all the same.
        same_dropout: Give both passes of a shard the same dropout masks (default True).

    Raises:
        ConfigError: If a value is not allowed.

    Example:
        >>> rec.fit("clicks.parquet", target="click", options=ar.TrainOptions(sharpness=ar.SharpnessAware(rho=0.1)))

    Source: Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization, ICLR 2021; Behdin et
    al., mSAM: Micro-Batch-Averaged Sharpness-Aware Minimization, arXiv 2302.09693; Kwon et al., ASAM, ICML 2021. In
    SAM's own paper the `m` of m-sharpness is the rows of a shard, here `micro_batches` is the number of shards.
    """

    rho: float = 0.05
    micro_batches: int = 8
    adaptive: bool = False
    every: int = 1
    tables: bool = False
    same_dropout: bool = True

    def __post_init__(self) -> None:
        rho = self.rho
        if isinstance(rho, bool) or not isinstance(rho, (int, float)) or not (math.isfinite(rho) and rho >= 0):
            raise ConfigError("rho", "a number of 0 or more", rho)
        object.__setattr__(self, "rho", float(rho))
        for name in ("micro_batches", "every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(name, "a whole number of 1 or more", value)
        for name in ("adaptive", "tables", "same_dropout"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(name, "True or False", getattr(self, name))

    def __str__(self) -> str:
        """What differs from the defaults, behind `rho` and `micro_batches`."""
        shown = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        kept = ("rho", "micro_batches")
        return ", ".join(f"{k}={v}" for k, v in shown.items() if k in kept or v != getattr(SharpnessAware, k))

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SharpnessAware:
        """Returns the settings that `to_dict` wrote.

        Raises:
            ConfigError: If a name or value is not known.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise unknown_name("sharpness", name, names)
        return cls(**values)
