"""Vectors as they are kept: float32, little-endian, packed. The API's JSON arrays are made into them and from them."""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

MAX_DIMENSION = 4096
MAX_COMPONENT_TEXT = len("-1.17549435e-38,")
"""Characters that a component of `Vector.tolist` takes at most in a JSON array."""

_ITEM_BYTES = 4
_FEWEST_DIGITS, _MORE_DIGITS = 7, (8, 9)
"""Nine significant digits tell any two float32 apart (IEEE 754-2019, section 5.12.2); most need no more than seven."""


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector of float32 components; `data` is what `numpy.ndarray.tobytes` gives for them (little-endian)."""

    data: bytes

    @classmethod
    def of(cls, numbers: Iterable[float | Decimal]) -> "Vector":
        """The vector of these components, each rounded to float32.

        Raises ValueError, with the component's index, for one that is not finite or beyond float32.
        """
        components = list(numbers)
        try:
            data = struct.pack(f"<{len(components)}f", *components)
        except (OverflowError, struct.error, ValueError) as error:
            raise ValueError(_fault(components)) from error
        vector = cls(data)
        if not vector.is_finite:
            raise ValueError(_fault(components))
        return vector

    @property
    def dimension(self) -> int:
        return len(self.data) // _ITEM_BYTES

    @property
    def is_finite(self) -> bool:
        return all(map(math.isfinite, self._unpacked()))

    @property
    def is_zero(self) -> bool:
        return not any(self._unpacked())

    def tolist(self) -> list[float]:
        """The components as floats of few digits, each of which gives the same float32 again."""
        components = self._unpacked()
        short = [float(f"{component:.{_FEWEST_DIGITS}g}") for component in components]
        read_back = struct.unpack(f"<{len(short)}f", struct.pack(f"<{len(short)}f", *short))
        if read_back == components:
            return short
        pairs = zip(components, short, read_back, strict=True)
        return [few if back == component else _with_more_digits(component) for component, few, back in pairs]

    def _unpacked(self) -> tuple[float, ...]:
        return struct.unpack(f"<{self.dimension}f", self.data)


def _with_more_digits(component: float) -> float:
    for digits in _MORE_DIGITS:
        short = float(f"{component:.{digits}g}")
        if struct.unpack("<f", struct.pack("<f", short))[0] == component:
            break
    return short


def _fault(components: list[float | Decimal]) -> str:
    for index, component in enumerate(components):
        try:
            (packed,) = struct.unpack("<f", struct.pack("<f", component))
        except (OverflowError, struct.error, ValueError):
            return f"component {index} is not a number that float32 can hold"
        if not math.isfinite(packed):
            return f"component {index} is not finite"
    raise AssertionError("every component can be packed")
