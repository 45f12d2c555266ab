"""What blocks share: drawn arguments, configurations, vectors and fields."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import keras_tuner as kt
import numpy as np
import pytest
from keras import ops

from autorec import blocks
from autorec.blocks import AsFields, Block
from autorec.blocks.base import as_list, as_vector, vector_width
from autorec.blocks.hyperparameters import Boolean, Choice, Float, Int
from autorec.blocks.testing import check_block
from autorec.errors import ConfigError


@keras.saving.register_keras_serializable(package="autorec.tests")
class Scale(Block):
    SPACE: ClassVar[dict[str, Any]] = {"factor": Float(0.5, 2.0, default=1.0), "shift": Int(0, 3, default=1)}

    def __init__(self, factor: float = 1.0, shift: int = 0, bias: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.shift = shift
        self.bias = bias

    def call(self, inputs: Any) -> Any:
        return self.factor * as_vector(inputs) + self.shift


@keras.saving.register_keras_serializable(package="autorec.tests")
class Plain(Block):
    def call(self, inputs: Any) -> Any:
        return as_vector(inputs)


VECTOR = np.arange(8, dtype="float32").reshape(2, 4)
FIELDS = np.arange(12, dtype="float32").reshape(2, 3, 2)


def test_a_block_of_the_simplest_kind_passes_the_harness() -> None:
    check_block(Scale, {"factor": 2.0}, [VECTOR, FIELDS], output_shape=(2, 10), learns=False)


def test_a_block_without_a_constructor_passes_the_harness() -> None:
    check_block(Plain, {}, FIELDS, output_shape=(2, 6), learns=False)


def test_a_block_without_a_constructor_keeps_its_policy() -> None:
    config = Plain(dtype="mixed_bfloat16").get_config()
    assert Plain.from_config(config).compute_dtype == "bfloat16"
    assert set(config) == {"name", "trainable", "dtype"}


def test_tune_draws_what_is_not_given_and_leaves_defaults_that_are_not_searched() -> None:
    hp = kt.HyperParameters()
    hp.values["scale/factor"] = 2.0
    block = Scale.tune(hp)
    assert (block.factor, block.shift, block.bias) == (2.0, 1, False)
    assert [item.name for item in hp.space] == ["scale/factor", "scale/shift"]


def test_given_falsy_values_are_fixed_and_none_is_searched() -> None:
    hp = kt.HyperParameters()
    block = Scale.tune(hp, factor=None, shift=0)
    assert block.shift == 0
    assert [item.name for item in hp.space] == ["scale/factor"]


def test_repeats_are_numbered_and_a_given_name_is_used_as_it_is() -> None:
    hp = kt.HyperParameters()
    for name in (None, None, "tower"):
        Scale.tune(hp, name, shift=0)
    assert [item.name for item in hp.space] == ["scale/factor", "scale_1/factor", "tower/factor"]


def test_an_unknown_argument_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Scale.tune.*Did you mean 'factor'"):
        Scale.tune(kt.HyperParameters(), facto=1.0)


def test_tune_passes_the_policy_on() -> None:
    assert Scale.tune(kt.HyperParameters(), dtype="mixed_bfloat16").compute_dtype == "bfloat16"


@pytest.mark.parametrize(
    ("space", "kind", "value"),
    [
        (Choice((8, 16), 8), int, 8),
        (Int(1, 5, 3), int, 3),
        (Float(0, 1, 0.5), float, 0.5),
        (Boolean(False), bool, False),
    ],
)
def test_each_kind_of_space_draws_its_default_first(space: Any, kind: type, value: Any) -> None:
    drawn = space.draw(kt.HyperParameters(), "x")
    assert (type(drawn), drawn) == (kind, value)


def test_as_list_tells_a_shape_from_a_list_of_shapes() -> None:
    assert as_list((None, 3)) == [(None, 3)]
    assert as_list([None, 3]) == [[None, 3]]
    assert as_list([(None, 3), (None, 2, 4)]) == [(None, 3), (None, 2, 4)]
    assert as_list([]) == []


def test_as_vector_joins_flattened_fields_in_order() -> None:
    np.testing.assert_array_equal(as_vector([FIELDS, VECTOR])[1], [6, 7, 8, 9, 10, 11, 4, 5, 6, 7])
    assert vector_width([FIELDS.shape, VECTOR.shape]) == 10


def test_as_vector_takes_the_wider_type_of_mixed_inputs() -> None:
    joined = as_vector([ops.cast(VECTOR, "bfloat16"), ops.cast(VECTOR, "float32")])
    assert joined.dtype == "float32"


def test_as_vector_works_on_a_batch_without_rows() -> None:
    assert as_vector([FIELDS[:0], VECTOR[:0]]).shape == (0, 10)


def test_fields_of_one_width_are_joined_without_weights() -> None:
    layer = AsFields()
    found = layer([FIELDS, VECTOR[:, :2]])
    np.testing.assert_array_equal(found[1], [[6, 7], [8, 9], [10, 11], [4, 5]])
    assert layer.weights == []


def test_inputs_of_another_width_are_projected_to_the_least() -> None:
    layer = AsFields()
    assert layer([VECTOR, FIELDS]).shape == (2, 4, 2)
    layer.kernels[0].assign([[1, 0], [0, 1], [10, 0], [0, 10]])
    np.testing.assert_array_equal(layer([VECTOR, FIELDS])[0], [[20, 31], [0, 1], [2, 3], [4, 5]])
    assert [tuple(weight.shape) for weight in layer.weights] == [(4, 2)]


def test_a_given_width_projects_all_that_differ() -> None:
    layer = AsFields(dim=4)
    assert layer([VECTOR, FIELDS]).shape == (2, 4, 4)
    assert layer.compute_output_shape([(None, 4), (None, 3, 2)]) == (None, 4, 4)


def test_fields_have_the_policys_type() -> None:
    assert AsFields(dtype="mixed_bfloat16")([VECTOR, FIELDS]).dtype == "bfloat16"


def test_a_saved_model_with_fields_gives_equal_outputs(tmp_path: Any) -> None:
    inputs = [keras.Input((4,)), keras.Input((3, 2))]
    model = keras.Model(inputs, AsFields(dim=3)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded([VECTOR, FIELDS]), model([VECTOR, FIELDS]))


def test_importing_the_package_registers_every_block() -> None:
    layers = [getattr(blocks, name) for name in blocks.__all__ if name != "Block"]
    assert sorted(blocks.__all__) == blocks.__all__
    for layer in layers:
        assert keras.saving.get_registered_object(f"autorec>{layer.__name__}") is layer
