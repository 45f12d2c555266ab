"""The few column types that sources give, and how other Arrow types become one of them."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

TIME = pa.timestamp("us")
_DICTIONARY = pa.dictionary(pa.int32(), pa.string())
CATEGORICAL = {b"kind": b"categorical"}


def normal_type(kind: pa.DataType) -> pa.DataType | None:
    """Returns the type in which a source gives columns of an Arrow type, None if it gives none."""
    types = pa.types
    if types.is_dictionary(kind):
        return normal_type(kind.value_type)
    if types.is_boolean(kind) or types.is_integer(kind):
        return pa.int64()
    if types.is_floating(kind) or types.is_decimal(kind):
        return pa.float64()
    if is_text(kind):
        return pa.string()
    if types.is_timestamp(kind) or types.is_date(kind):
        return TIME
    if is_list(kind):
        element = normal_type(kind.value_type)
        if element == pa.null():  # every list is empty, or its values are missing
            return element
        return pa.list_(element) if element in (pa.int64(), pa.string()) else None
    return pa.null() if types.is_null(kind) else None


def is_text(kind: pa.DataType) -> bool:
    """Returns whether values of a type are read as text."""
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return text or types.is_binary(kind) or types.is_large_binary(kind)


def is_whole(kind: pa.DataType) -> bool:
    """Returns whether values of a type are whole numbers; booleans are not."""
    return pa.types.is_integer(kind.value_type if pa.types.is_dictionary(kind) else kind)


def is_list(kind: pa.DataType) -> bool:
    """Returns whether a type is a list of any kind."""
    types = pa.types
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def normal_schema(fields: Iterable[pa.Field]) -> tuple[pa.Schema, dict[str, str]]:
    """Returns the fields that can be read in their normal types, and a note on each that cannot."""
    found, notes = [], {}
    for field in fields:
        kind = normal_type(field.type)
        if kind is None:
            notes[field.name] = f"columns of type {field.type} cannot be read"
        else:
            declared = pa.types.is_dictionary(field.type) and not is_text(field.type.value_type)
            found.append(pa.field(field.name, kind, metadata=CATEGORICAL if declared else None))
    return pa.schema(found), notes


def normal(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Returns an array in the normal type `kind`; text may stay a dictionary.

    Raises:
        pa.ArrowException: If a value does not fit.
    """
    if kind == pa.null():
        return pa.nulls(len(array), pa.string())
    if kind == pa.string():
        return _text(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.type == kind:
        return array
    if kind == TIME:
        return _time(array)
    if is_list(kind):
        return _list(array, kind)
    return array.cast(kind, safe=kind == pa.int64())


def _text(array: pa.Array) -> pa.Array:
    if array.type in (pa.string(), _DICTIONARY):
        return array
    if pa.types.is_dictionary(array.type):
        if not is_text(array.type.value_type):
            return _text(array.dictionary_decode())
        return pa.DictionaryArray.from_arrays(array.indices.cast(pa.int32()), array.dictionary.cast(pa.string()))
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int64())
    return array.cast(pa.string())


def _time(array: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(array.type):  # with or without a zone, the number counts from 1970 in UTC
        return array.cast(pa.timestamp("us", array.type.tz), safe=False).view(pa.int64()).cast(TIME)
    return array.cast(TIME)


def _list(array: pa.Array, kind: pa.DataType) -> pa.Array:
    element = kind.value_type
    if pa.types.is_dictionary(array.type.value_type):
        lists = array.cast(pa.list_(array.type.value_type))
        ends = pc.cumulative_sum(pc.list_value_length(lists).fill_null(0)).cast(pa.int32())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
        flat = pc.list_flatten(lists).dictionary_decode()
        array = pa.ListArray.from_arrays(offsets, flat, mask=lists.is_null())
    return array.cast(pa.list_(element))
