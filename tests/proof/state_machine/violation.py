"""What the machine raises where an invariant does not hold."""


class Violation(AssertionError):
    """The product did what the model does not allow; the text says what."""


def require(holds: object, *told: object) -> None:
    """Raises Violation, with what is told, unless it holds."""
    if not holds:
        raise Violation(" ".join(map(str, told)))
