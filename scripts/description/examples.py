"""Examples of every operation. Tests send each request, and compare each answer with what then comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REPORT_ID = "3f0e9a52-7a5c-4b63-8d0f-0d4d1f2a9c11"
MODEL_VERSION = "petstore-text-3"
PRODUCT_ID = "dog-bed-42"
_AT = "2026-03-14T09:26:53.589793Z"
_LATER = "2026-03-14T09:41:07.120334Z"

BED = {"name": "Orthopaedic dog bed", "kind": "dog", "price": 89.9, "tags": ["new", "washable"]}
MAT = {"name": "Travel mat", "kind": "dog", "price": 34.5, "tags": ["washable"]}
BED_VECTOR, MAT_VECTOR = [0.12, -0.5, 0.83], [0.1, -0.45, 0.7]
_SCORE = 0.9995749
_REFERENCE = {"product_id": PRODUCT_ID, "name": "Orthopaedic dog bed", "price": 89.9}
_KEY = {"model_version": MODEL_VERSION}
_IN_PATH = {"report_id": REPORT_ID}
_BED_KEY = {"product_id": PRODUCT_ID, **_KEY}

_REPORT = {
    "id": REPORT_ID,
    "title": "Beds for large dogs",
    "author": "Ada Lovelace",
    "date": "2026-03-14",
    "reference": _REFERENCE,
    "favorites": ["travel-mat-7"],
    "created_at": _AT,
    "updated_at": _AT,
    "version": 1,
}
_PROFILE = {
    "user_id": "0b6f4c1e-2a77-4f55-9c1d-6a1f6a3c8f10",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "avatar_url": "https://images.example.com/ada.png",
    "preferences": {"theme": "dark", "units": "metric"},
    "created_at": _AT,
    "updated_at": _LATER,
    "version": 2,
}
_EMBEDDING = {
    **_BED_KEY,
    "vector_dimension": 3,
    "product": BED,
    "created_at": _AT,
    "updated_at": _AT,
    "version": 1,
}
_HIT = {"product_id": "travel-mat-7", "score": _SCORE, "product": MAT}
_HITS = {"model_version": MODEL_VERSION, "metric": "cosine", "higher_is_better": True}
_FILTER = {"kind": "dog", "price": {"$lt": 100}}
_MATRIX = {
    "model_version": MODEL_VERSION,
    "state": "done",
    "k": 10,
    "rows": 2,
    "built_at": _LATER,
    "is_stale": False,
    "progress": 1.0,
    "requested_at": _AT,
    "error": None,
}


@dataclass(frozen=True)
class Example:
    """The parameters and body of one request, and the body of its answer."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    answer: Any = None


EXAMPLES: Mapping[str, Example] = {
    "health": Example(answer={"status": "ok", "version": "0.1.0"}),
    "get_profile": Example(answer=_PROFILE),
    "update_profile": Example(
        body={
            "name": "Ada Lovelace",
            "avatar_url": "https://images.example.com/ada.png",
            "preferences": {"theme": "dark", "units": "metric"},
        },
        answer=_PROFILE,
    ),
    "create_report": Example(
        body={"title": "Beds for large dogs", "reference": _REFERENCE, "date": "2026-03-14"},
        answer={**_REPORT, "favorites": []},
    ),
    "list_reports": Example(
        parameters={"limit": 20},
        answer={"reports": [_REPORT], "next_cursor": None, "has_more": False},
    ),
    "get_report": Example(_IN_PATH, answer=_REPORT),
    "update_report": Example(
        _IN_PATH,
        {"title": "Beds for very large dogs"},
        {**_REPORT, "title": "Beds for very large dogs", "updated_at": _LATER, "version": 2},
    ),
    "delete_report": Example(_IN_PATH),
    "list_favorites": Example(_IN_PATH, answer={"favorites": ["travel-mat-7"]}),
    "replace_favorites": Example(
        _IN_PATH, {"favorites": ["travel-mat-7", PRODUCT_ID]}, {"favorites": [PRODUCT_ID, "travel-mat-7"]}
    ),
    "add_favorite": Example({**_IN_PATH, "product_id": PRODUCT_ID}, answer={"favorites": [PRODUCT_ID, "travel-mat-7"]}),
    "remove_favorite": Example({**_IN_PATH, "product_id": PRODUCT_ID}, answer={"favorites": ["travel-mat-7"]}),
    "search_report": Example(
        _IN_PATH,
        {**_KEY, "top_k": 5, "filter": _FILTER},
        {**_HITS, "hits": [{**_HIT, "is_favorite": True}]},
    ),
    "score_product": Example(
        {**_IN_PATH, **_KEY, "product_id": "travel-mat-7"},
        answer={
            "product_id": "travel-mat-7",
            "reference_product_id": PRODUCT_ID,
            "metric": "cosine",
            "higher_is_better": True,
            "score": _SCORE,
            "product": MAT,
            "is_favorite": True,
        },
    ),
    "store_embedding": Example(body={**_BED_KEY, "embedding_vector": BED_VECTOR, "product": BED}, answer=_EMBEDDING),
    "store_embeddings": Example(
        body={
            "items": [
                {**_BED_KEY, "embedding_vector": BED_VECTOR, "product": BED},
                {**_KEY, "product_id": "travel-mat-7", "embedding_vector": MAT_VECTOR, "product": MAT},
            ]
        },
        answer={
            "results": [
                {"index": 0, "product_id": PRODUCT_ID, "status": 200, "version": 2},
                {"index": 1, "product_id": "travel-mat-7", "status": 200, "version": 2},
            ],
            "stored": 2,
            "failed": 0,
        },
    ),
    "list_embeddings": Example(
        {**_KEY, "limit": 20}, answer={"embeddings": [_EMBEDDING], "next_cursor": None, "has_more": False}
    ),
    "get_embedding": Example(_BED_KEY, answer={**_EMBEDDING, "embedding_vector": BED_VECTOR}),
    "update_product": Example(
        _BED_KEY,
        {"product": {**BED, "price": 79.9}},
        {**_EMBEDDING, "product": {**BED, "price": 79.9}, "updated_at": _LATER, "version": 2},
    ),
    "delete_embedding": Example(_BED_KEY),
    "delete_embeddings": Example(
        body={**_KEY, "filter": {"price": {"$lt": 50}}, "dry_run": True},
        answer={"dry_run": True, "examined": 2, "matched": 1, "deleted": 0, "continuation": None},
    ),
    "list_models": Example(
        answer={"models": [{**_KEY, "vector_dimension": 3, "count": 2, "updated_at": _LATER}]},
    ),
    "search_embeddings": Example(
        body={**_KEY, "product_id": PRODUCT_ID, "top_k": 5, "filter": _FILTER}, answer={**_HITS, "hits": [_HIT]}
    ),
    "build_matrix": Example(
        body={**_KEY, "k": 10},
        answer={
            **_MATRIX,
            "state": "queued",
            "rows": None,
            "built_at": None,
            "is_stale": None,
            "progress": None,
        },
    ),
    "get_matrix": Example(_KEY, answer=_MATRIX),
    "get_neighbors": Example(
        {**_BED_KEY, "limit": 5},
        answer={**_BED_KEY, "k": 10, "built_at": _LATER, "neighbors": [_HIT]},
    ),
}
"""By operationId."""
