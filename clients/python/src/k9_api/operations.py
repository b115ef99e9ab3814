"""The routes of the API that there are methods for, and what a client may do with each: the one table of them."""

from dataclasses import dataclass

from .retries import Repeat


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` has its parameters in braces, as the OpenAPI document does. One that is KEYED takes an Idempotency-Key."""

    method: str
    path: str
    repeat: Repeat = Repeat.SAFE
    is_open: bool = False


GET_HEALTH = Operation("GET", "/health", is_open=True)
GET_OPENAPI = Operation("GET", "/openapi.json", is_open=True)
GET_DOCS = Operation("GET", "/docs", is_open=True)
GET_DOCS_FILE = Operation("GET", "/docs/{file}", is_open=True)
GET_AVATAR = Operation("GET", "/avatars/{owner}/{avatar_id}", is_open=True)

GET_PROFILE = Operation("GET", "/user/profile")
UPDATE_PROFILE = Operation("PATCH", "/user/profile", Repeat.KEYED)
PRESIGN_AVATAR = Operation("POST", "/user/avatar")
ERASE_USER = Operation("DELETE", "/user")
GET_ERASURE = Operation("GET", "/user/erasure")
REQUEST_EXPORT = Operation("POST", "/user/export")
GET_EXPORT = Operation("GET", "/user/export")

CREATE_REPORT = Operation("POST", "/reports", Repeat.KEYED)
LIST_REPORTS = Operation("GET", "/reports")
GET_REPORT = Operation("GET", "/reports/{report_id}")
UPDATE_REPORT = Operation("PATCH", "/reports/{report_id}", Repeat.KEYED)
DELETE_REPORT = Operation("DELETE", "/reports/{report_id}")
LIST_FAVORITES = Operation("GET", "/reports/{report_id}/favorites")
REPLACE_FAVORITES = Operation("PUT", "/reports/{report_id}/favorites", Repeat.KEYED)
ADD_FAVORITE = Operation("PUT", "/reports/{report_id}/favorites/{product_id}", Repeat.KEYED)
REMOVE_FAVORITE = Operation("DELETE", "/reports/{report_id}/favorites/{product_id}", Repeat.KEYED)
SEARCH_REPORT = Operation("POST", "/reports/{report_id}/search")
SCORE_PRODUCT = Operation("GET", "/reports/{report_id}/products/{product_id}")
EXPORT_REPORT = Operation("GET", "/reports/{report_id}/export")

STORE_EMBEDDING = Operation("POST", "/embeddings", Repeat.KEYED)
STORE_EMBEDDINGS = Operation("POST", "/embeddings/batch", Repeat.KEYED)
LIST_EMBEDDINGS = Operation("GET", "/embeddings")
GET_EMBEDDING = Operation("GET", "/embeddings/{product_id}")
UPDATE_PRODUCT = Operation("PATCH", "/embeddings/{product_id}", Repeat.KEYED)
DELETE_EMBEDDING = Operation("DELETE", "/embeddings/{product_id}", Repeat.KEYED)
DELETE_EMBEDDINGS = Operation("POST", "/embeddings/delete")
LIST_MODELS = Operation("GET", "/embeddings/models")
SEARCH_EMBEDDINGS = Operation("POST", "/embeddings/search")
BUILD_MATRIX = Operation("POST", "/embeddings/similarity")
GET_MATRIX = Operation("GET", "/embeddings/similarity")
GET_NEIGHBORS = Operation("GET", "/embeddings/similarity/{product_id}")

OPERATIONS = tuple(value for value in list(globals().values()) if isinstance(value, Operation))
"""All of them; a test holds them to the API's OpenAPI document."""
