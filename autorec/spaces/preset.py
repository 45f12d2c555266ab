"""What every preset is: a known architecture as a search space, built by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import keras
import keras_tuner as kt

from autorec.blocks.base import Block
from autorec.blocks.hyperparameters import Boolean, Choice, Hyperparameter, Int
from autorec.data.layout import Layout
from autorec.data.schema import Schema
from autorec.errors import ConfigError, unknown_name
from autorec.spaces.building import build_model
from autorec.spaces.context import current_layout
from autorec.spaces.features import ARGUMENTS, Features, check_arguments

Sources = Mapping[str, tuple[type[Block], str]]


def arguments_of(
    block: type[Block], *, without: Iterable[str] = (), **renamed: str
) -> dict[str, tuple[type[Block], str]]:
    """Returns the searchable arguments of a block as arguments of a preset.

    Args:
        block: The block.
        without: Arguments of the block that the preset fixes.
        **renamed: Argument of the block = name it has in the preset.
    """
    return {renamed.get(name, name): (block, name) for name in block.SPACE if name not in without}


class Preset(kt.HyperModel, ABC):
    """A known architecture as a search space: an argument left out is searched.

    A subclass names itself in `NAME`, lists what it takes in `FEATURES` (arguments of `Features`), `BLOCKS`
    (arguments of its blocks, see `arguments_of`) and `OWN` (its own hyperparameters, named `<NAME>/<argument>`), and
    writes `assemble`. Listed in `autorec.spaces.SPACES` it is known by its name.

    Args:
        **arguments: Values to fix; 0 and False are values, None leaves an argument to the search.

    Raises:
        ConfigError: If an argument is not known, with the nearest names.

    Example:
        >>> class DeepOnly(Preset):
        ...     NAME = "deep_only"
        ...     BLOCKS = arguments_of(MLP)
        ...
        ...     def assemble(self, features, hp):
        ...         return ranking_model(features.inputs, [self.block(hp, MLP)(features.vector())])
        >>> model = DeepOnly(dim=8).build_for(layout)
    """

    NAME: ClassVar[str]
    FEATURES: ClassVar[tuple[str, ...]] = ARGUMENTS
    BLOCKS: ClassVar[Sources] = {}
    OWN: ClassVar[Mapping[str, Hyperparameter]] = {}
    FIRST_ORDER: ClassVar[bool] = False

    def __init__(self, **arguments: Any) -> None:
        super().__init__(name=self.NAME)
        known = self.argument_names()
        for name, value in arguments.items():
            if name not in known:
                raise unknown_name(f"{type(self).__name__}(...)", name, known)
            if value is not None and name in self.OWN:
                _check_own(name, self.OWN[name], value)
        self.arguments = {name: value for name, value in arguments.items() if value is not None}
        check_arguments(self._given(self.FEATURES))

    @classmethod
    def argument_names(cls) -> list[str]:
        """Returns the names of all arguments."""
        return list(dict.fromkeys([*cls.FEATURES, *cls.OWN, *cls.BLOCKS]))

    def build(self, hp: Any) -> keras.Model:
        """Returns a model with the values of `hp` for the layout of the innermost `using_layout`."""
        layout = current_layout()
        columns = self.columns(layout)
        given = self._given(self.FEATURES)
        return self.assemble(Features(layout, hp, first_order=self.FIRST_ORDER, columns=columns, **given), hp)

    @abstractmethod
    def assemble(self, features: Features, hp: Any) -> keras.Model:
        """Returns the model from the encoded rows to one output per target."""

    def columns(self, layout: Layout) -> list[str] | None:
        """Returns the id columns that are read; None reads all columns of all groups."""
        return None

    def build_for(
        self, layout: Layout, values: Mapping[str, Any] | None = None, *, schema: Schema | None = None
    ) -> keras.Model:
        """Returns a Keras model for a layout, outside of any search.

        Args:
            layout: Columns of the encoded rows.
            values: Hyperparameters by name, such as those of a trial; what is left out has its default.
            schema: The schema the rows were encoded by, if there is one.

        Example:
            >>> model = autorec.spaces.DCNv2(rank=32).build_for(cache.layout)
        """
        hp = kt.HyperParameters()
        hp.values.update(values or {})
        return build_model(self, hp, layout, schema)

    def block(self, hp: Any, block: type[Block], name: str | None = None, **fixed: Any) -> Any:
        """Returns a block with this preset's arguments fixed and the others drawn from `hp`."""
        given = {
            argument: self.arguments[mine]
            for mine, (owner, argument) in self.BLOCKS.items()
            if owner is block and mine in self.arguments
        }
        return block.tune(hp, name=name, **{**given, **fixed})

    def own(self, hp: Any, argument: str) -> Any:
        """Returns the value of an argument of `OWN`: the one that was given, else the one of `hp`."""
        if argument in self.arguments:
            return self.arguments[argument]
        return self.OWN[argument].draw(hp, f"{self.NAME}/{argument}")

    def when(self, hp: Any, argument: str, *values: Any) -> AbstractContextManager[Any]:
        """Returns the scope of hyperparameters that matter only for some values of an argument of `OWN`."""
        if argument in self.arguments:
            return nullcontext()
        scope: AbstractContextManager[Any] = hp.conditional_scope(f"{self.NAME}/{argument}", list(values))
        return scope

    def get_config(self) -> dict[str, Any]:
        """Returns the preset as plain JSON values."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in sorted(self.arguments.items())}
        return {"preset": self.NAME, "arguments": values}

    def _given(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: self.arguments[name] for name in names if name in self.arguments}


def user_and_item(layout: Layout, preset: str) -> list[str]:
    """Returns the names of the user's and the item's column.

    Raises:
        ConfigError: If the layout does not name both as columns of ids.
    """
    ids = [column.name for column in layout.ids]
    for role in ("user", "item"):
        received = getattr(layout, role)
        if received not in ids:
            hint = f"{preset!r} reads only the user and the item: pass `user=` and `item=`, or set them on the schema."
            raise ConfigError(role, f"a column of ids, one of {ids}", received, hint)
    return [str(layout.user), str(layout.item)]


def _check_own(name: str, space: Hyperparameter, value: Any) -> None:
    if isinstance(space, Boolean) and not isinstance(value, bool):
        raise ConfigError(name, "True, False or None", value)
    if isinstance(space, Choice) and isinstance(space.default, str) and value not in space.values:
        raise unknown_name(name, value, space.values)
    low, high = (space.low, space.high) if isinstance(space, Int) else (1, None)
    whole = isinstance(value, int) and not isinstance(value, bool) and low <= value <= (high or value)
    if isinstance(space.default, int) and not isinstance(space, Boolean) and not whole:
        allowed = f"a whole number of {low} or more" if high is None else f"a whole number from {low} to {high}"
        raise ConfigError(name, allowed, value)
