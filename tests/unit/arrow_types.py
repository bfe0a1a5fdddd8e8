"""Read a schema that crosses the border (Arrow C data interface) into the words of `masthead.schema`."""

from __future__ import annotations

import ctypes
from typing import Any

# https://arrow.apache.org/docs/format/CDataInterface.html#data-type-description-format-strings
_NAMES = {
    "u": "utf8",
    "C": "uint8",
    "S": "uint16",
    "I": "uint32",
    "L": "uint64",
    "i": "int32",
    "l": "int64",
    "g": "float64",
    "tsn:": "timestamp[ns]",
}


class _Schema(ctypes.Structure):
    pass


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]


def columns_of(holder: Any) -> list[tuple[str, str]]:
    """Give name and type of each column of an object with `__arrow_c_schema__`."""
    capsule = holder.__arrow_c_schema__()
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    schema = _Schema.from_address(pointer(capsule, b"arrow_schema"))
    return [(child.name.decode(), _type(child)) for child in _children(schema)]


def _children(schema: Any) -> list[Any]:
    return [schema.children[index].contents for index in range(schema.n_children)]


def _type(schema: Any) -> str:
    own: str = schema.format.decode()
    if schema.dictionary:
        return f"dictionary<{_NAMES[own]}, {_type(schema.dictionary.contents)}>"
    if own == "+l":
        return f"list<{_type(_children(schema)[0])}>"
    if own == "+s":
        return f"struct<{', '.join(f'{child.name.decode()}: {_type(child)}' for child in _children(schema))}>"
    return _NAMES.get(own, own)
