"""What several tasks share: one network, experts behind gates, or experts of their own beside shared ones."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

import keras
from keras import ops

from autorec.blocks.base import Block, Shape, as_list, as_vector, vector_width
from autorec.blocks.checks import share, whole
from autorec.blocks.hyperparameters import Choice, Hyperparameter, Int
from autorec.errors import unknown_name

KINDS = ("shared_bottom", "mmoe", "ple")


@keras.saving.register_keras_serializable(package="autorec")
class Experts(Block):
    """A vector for each of several tasks, from networks that the tasks share.

    - `shared_bottom`: `y_k = E(x)`, one network for all;
    - `mmoe`: `y_k = sum_i softmax_i(G_k x) E_i(x)`, a gate for each task over all experts;
    - `ple`: experts of each task beside shared ones, level by level: `x^l_k = sum_i softmax_i(G^l_k x^{l-1}_k) E^l_ki`
      over the task's own `own(x^{l-1}_k)` and the shared `shared(x^{l-1}_0)`; between levels `x^l_0` is the same with a
      gate over the experts of all tasks and the shared ones; `y_k = x^L_k`, and all `x^0` are the inputs.

    An expert is `layers` fully connected layers with relu, `E(x) = relu(W_n ... relu(W_1 x + b_1) ... + b_n)`. What
    follows, such as a tower and a head for each task, is not part of the block.

    Args:
        tasks: Number of tasks (1 or more).
        kind: One of these (searched; default `mmoe`).
        units: Width of the experts (1 or more; searched: 32 to 512; default 128).
        layers: Number of layers of an expert (1 or more; searched: 1 to 2; default 1).
        experts: Number of shared experts (1 or more; searched: 2, 4, 8; default 4); `shared_bottom` has one.
        own_experts: For `ple`, number of experts of each task (1 or more; searched: 1, 2, 4; default 2).
        levels: For `ple`, number of levels (1 or more; searched: 1 to 2; default 1).
        dropout: Share of an expert's values set to 0 in training (0 up to 1, without it; searched: 0, 0.1, 0.25;
            default 0).

    Shapes:
        A tensor or a list, (batch, width) or (batch, fields, dim), gives a list of `tasks` tensors (batch, units).

    Raises:
        ConfigError: If an argument is not allowed.

    Example:
        >>> click, like = Experts(tasks=2, kind="ple")(np.ones((4, 10), "float32"))  # (4, 128) each

    Source: `mmoe`: Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts,
    KDD 2018. `ple`: Tang et al., Progressive Layered Extraction (PLE): A Novel Multi-Task Learning (MTL) Model for
    Personalized Recommendations, RecSys 2020; of one level it is the paper's CGC. Experts of several layers are ours.
    """

    SPACE: ClassVar[dict[str, Hyperparameter]] = {
        "kind": Choice(KINDS, "mmoe"),
        "units": Choice((32, 64, 128, 256, 512), 128),
        "layers": Int(1, 2, default=1),
        "experts": Choice((2, 4, 8), 4),
        "own_experts": Choice((1, 2, 4), 2),
        "levels": Int(1, 2, default=1),
        "dropout": Choice((0.0, 0.1, 0.25), 0.0),
    }
    WHEN: ClassVar = {
        "experts": ("kind", ("mmoe", "ple")),
        "own_experts": ("kind", ("ple",)),
        "levels": ("kind", ("ple",)),
    }

    def __init__(
        self,
        tasks: int,
        kind: str = "mmoe",
        units: int = 128,
        layers: int = 1,
        experts: int = 4,
        own_experts: int = 2,
        levels: int = 1,
        dropout: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kind not in KINDS:
            raise unknown_name("kind", kind, KINDS)
        self.kind = kind
        self.tasks = whole("tasks", tasks)
        self.units = whole("units", units)
        self.layers = whole("layers", layers)
        self.experts = whole("experts", experts)
        self.own_experts = whole("own_experts", own_experts)
        self.levels = whole("levels", levels)
        self.dropout = share("dropout", dropout)
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy) if self.dropout else None

    def build(self, input_shape: Any) -> None:
        """Makes the weights of experts and gates."""
        width = vector_width(input_shape)
        ple = self.kind == "ple"
        shared = 1 if self.kind == "shared_bottom" else self.experts
        self.stages = []
        for level in range(self.levels if ple else 1):
            size = self.units if level else width
            last = not ple or level == self.levels - 1
            groups = {"shared": shared} | {f"task_{task}": self.own_experts for task in range(self.tasks if ple else 0)}
            stage = {name: self._group(f"{name}_{level}", size, count) for name, count in groups.items()}
            gates = {f"task_{task}": shared + (self.own_experts if ple else 0) for task in range(self.tasks)}
            gates |= {} if last else {"shared": sum(groups.values())}
            kernels = {name: self._gate(f"{name}_{level}", size, count) for name, count in gates.items()}
            self.stages.append({"experts": stage, "gates": kernels})
        self.built = True

    def _group(self, name: str, width: int, count: int) -> list[tuple[Any, Any]]:
        """Returns kernel and bias of each layer of `count` experts, which stand side by side."""
        layers = []
        for layer in range(self.layers):
            fan = self.units if layer else width
            limit = sqrt(6 / (fan + self.units))  # of each expert by itself
            initializer = keras.initializers.RandomUniform(-limit, limit)
            # The first layers of all experts read one vector: one product for all of them.
            shape = (count, fan, self.units) if layer else (fan, count * self.units)
            kernel = self.add_weight(name=f"{name}_kernel_{layer}", shape=shape, initializer=initializer)
            bias = self.add_weight(name=f"{name}_bias_{layer}", shape=(count, self.units), initializer="zeros")
            layers.append((kernel, bias))
        return layers

    def _gate(self, name: str, width: int, count: int) -> Any:
        """Returns the kernel of a gate, None for one that has nothing to choose."""
        if count == 1:
            return None
        return self.add_weight(name=f"{name}_gate", shape=(width, count), initializer="glorot_uniform")

    def call(self, inputs: Any, training: bool | None = None) -> list[Any]:
        """Takes (batch, width) and (batch, fields, dim) tensors; returns `tasks` tensors (batch, units)."""
        x = as_vector(inputs)
        names = [f"task_{task}" for task in range(self.tasks)]
        read = dict.fromkeys(["shared", *names], x)
        for stage in self.stages:
            found = {name: self._run(read[name], layers, training) for name, layers in stage["experts"].items()}
            mixed = {}
            for name, gate in stage["gates"].items():
                wanted = list(found) if name == "shared" else [key for key in (name, "shared") if key in found]
                mixed[name] = _gated(read[name], gate, [found[key] for key in wanted])
            read = mixed
        return [read[name] for name in names]

    def _run(self, x: Any, layers: list[tuple[Any, Any]], training: bool | None) -> Any:
        """Returns what a group of experts makes of (batch, width): (batch, experts, units)."""
        for number, (kernel, bias) in enumerate(layers):
            if number:
                x = ops.einsum("beu,euv->bev", x, kernel)
            else:
                x = ops.reshape(ops.matmul(x, kernel), (-1, *bias.shape))
            x = ops.relu(ops.add(x, bias))
        return x if self.drop is None else self.drop(x, training=training)

    def compute_output_shape(self, input_shape: Any) -> list[Shape]:
        """Returns (batch, units) for each task."""
        return [(as_list(input_shape)[0][0], self.units)] * self.tasks

    def operations(self, shapes: Any) -> int:
        """Returns the multiply-adds of one row: all kernels once, and the mixtures of the gates."""
        kernels = [weight for weight in self.trainable_variables if "bias" not in weight.name]
        total = 0
        for weight in kernels:
            size = 1
            for length in weight.shape:
                size *= int(length)
            total += size + (int(weight.shape[-1]) * self.units if weight.name.endswith("_gate") else 0)
        return total


def _gated(x: Any, gate: Any, groups: list[Any]) -> Any:
    """Returns the mixture of experts (batch, experts, units) that a gate finds for x: (batch, units)."""
    experts = groups[0] if len(groups) == 1 else ops.concatenate(groups, axis=1)
    if gate is None:
        return experts[:, 0]
    weights = ops.expand_dims(ops.softmax(ops.matmul(x, gate)), 1)  # (batch, 1, experts)
    return ops.squeeze(ops.matmul(weights, experts), 1)
