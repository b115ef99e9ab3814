"""Where an answer leads: links (OpenAPI 3.1, section 4.8.20) from what one operation gives to what another takes."""

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
_REPORT = {"report_id": "$response.body#/id"}
_EMBEDDING = {"product_id": "$response.body#/product_id", "model_version": "$response.body#/model_version"}
_MODEL = {"model_version": "$response.body#/model_version"}

_LINKS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "create_report": dict.fromkeys(
        (
            "get_report",
            "update_report",
            "delete_report",
            "list_favorites",
            "replace_favorites",
            "add_favorite",
            "remove_favorite",
            "search_report",
        ),
        _REPORT,
    ),
    "list_reports": {"list_reports": {"cursor": "$response.body#/next_cursor"}},
    "store_embedding": {
        **dict.fromkeys(("get_embedding", "update_product", "delete_embedding", "get_neighbors"), _EMBEDDING),
        **dict.fromkeys(("list_embeddings", "get_matrix"), _MODEL),
    },
    "list_embeddings": {
        "list_embeddings": {
            "cursor": "$response.body#/next_cursor",
            "model_version": "$request.query.model_version",
        }
    },
    "build_matrix": {"get_matrix": _MODEL},
}
"""By operation: the operations that its answer leads to, with the parameters that they take from it."""


def links_of(operation_id: str) -> Object:
    """The links of an operation's success."""
    return {
        target: {"operationId": target, "parameters": dict(parameters)}
        for target, parameters in _LINKS.get(operation_id, {}).items()
    }
