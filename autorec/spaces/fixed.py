"""One point of a space as a space of its own: a found architecture, to be trained elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner as kt

from autorec.blocks.naming import new_build
from autorec.errors import ConfigError
from autorec.spaces.values import allows


class FixedSpace(kt.HyperModel):
    """A space in which every hyperparameter is fixed.

    It builds for any layout, also for other columns than those it was found on: a value whose hyperparameter does not
    exist there is not looked at, a hyperparameter without a value has its default, and so has one whose value is not
    allowed there (such as an interaction of user and item where there is no user). What a model was built with stands
    among its trial's values. The recipe (`train/*`) is no part of it and stays searched where `TrainOptions` leave it
    open.

    Args:
        space: Name of a preset, a `keras_tuner.HyperModel` or a function `build(hp)`.
        values: Hyperparameter name -> value: a plain JSON value.

    Raises:
        ConfigError: If the space is not known or the values are not of that form.

    Example:
        >>> found = FixedSpace("deepfm", {"features/dim": 8, "mlp/layers": 2})
        >>> CTRRecommender(space=found).fit(frame, target="click")
    """

    def __init__(self, space: Any, values: Mapping[str, Any]) -> None:
        from autorec.spaces.space import as_space

        self.space = as_space(space)
        super().__init__(name=self.space.name)
        if not isinstance(values, Mapping) or not all(_is_plain(*item) for item in values.items()):
            raise ConfigError("values", "a dict of names and numbers, texts, True or False", values)
        self.values = dict(values)

    def build(self, hp: Any) -> keras.Model:
        """Returns the model; `hp` gets each value that was used, as one that cannot change."""
        given = _Given(self.values)
        new_build(given)
        model = self.space.build(given)
        for declared in given.space:
            if given.is_active(declared):
                hp.Fixed(declared.name, given.values[declared.name])
        return model

    def get_config(self) -> dict[str, Any]:
        """Returns the space as plain JSON values; one of code holds only its place, see `autorec.spaces.to_config`."""
        from autorec.spaces.space import to_config

        return {"fixed": dict(self.values), "space": to_config(self.space)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FixedSpace:
        """Returns the space that `get_config` wrote.

        Raises:
            ConfigError: If it was one of code, or is not known.
        """
        from autorec.spaces.space import from_config

        return cls(from_config(config["space"]), config["fixed"])


class _Given(kt.HyperParameters):
    """Hyperparameters that have their values before anything asks for them; those not allowed give way to defaults."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__()
        self.values = dict(values)

    def _retrieve(self, hp: Any) -> Any:
        if self.is_active(hp) and hp.name in self.values and not allows(hp, self.values[hp.name]):
            self.values[hp.name] = hp.default
        return super()._retrieve(hp)


def _is_plain(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, (bool, int, float, str))
