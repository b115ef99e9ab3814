"""Which product a report is about, as far as embeddings know it."""

from pydantic import TypeAdapter, ValidationError

from shared.errors import FieldError, InvalidRequest
from shared.models.embedding import EmbeddedProductId
from shared.models.report import DBReport

_PRODUCT_ID: TypeAdapter[str] = TypeAdapter(EmbeddedProductId)


def reference_product_id(report: DBReport, pointer: str) -> str:
    """The `product_id` of the report's reference, or its `id`; a whole number counts as its digits.

    Raises InvalidRequest, at `pointer`, for a reference without one.
    """
    reference = report.reference or {}
    stated = reference.get("id") if reference.get("product_id") is None else reference["product_id"]
    if isinstance(stated, int) and not isinstance(stated, bool):
        stated = str(stated)
    try:
        return _PRODUCT_ID.validate_python(stated, strict=True)
    except ValidationError as error:
        reason = "the report's reference has no product_id (or id) that names a product"
        raise InvalidRequest("The report names no product.", errors=[FieldError(pointer, reason)]) from error
