"""Headers that a route of many rows cannot honour."""

from shared.database import Terms
from shared.errors import FieldError, MalformedRequest


def refuse_if_match(terms: Terms) -> None:
    """Raises MalformedRequest for an If-Match: it names a version of one resource, and would be ignored."""
    if terms.versions is not None:
        fault = FieldError("/header/if-match", "is not taken here: it names the version of one resource")
        raise MalformedRequest("The If-Match header cannot be used.", errors=[fault])
