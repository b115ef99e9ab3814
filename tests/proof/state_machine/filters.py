"""Filters of products, each beside what it means, written without the product's own code."""

from collections.abc import Callable
from typing import Any

Meaning = Callable[[dict[str, Any]], bool]

FILTERS: tuple[tuple[dict[str, Any], Meaning], ...] = (
    ({}, lambda p: True),
    ({"kind": "dog"}, lambda p: p["kind"] == "dog"),
    ({"kind": {"$ne": "dog"}}, lambda p: p["kind"] != "dog"),
    ({"price": {"$gte": 5}}, lambda p: p["price"] >= 5),
    ({"price": {"$lt": 5.5, "$gt": 1}}, lambda p: 1 < p["price"] < 5.5),
    ({"tags": "new"}, lambda p: "new" in p["tags"]),
    ({"tags": {"$nin": ["new", "old"]}}, lambda p: not {"new", "old"} & set(p["tags"])),
    ({"seller.rating": {"$exists": True}}, lambda p: "rating" in p["seller"]),
    ({"$or": [{"kind": "cat"}, {"seller.rating": {"$gt": 2}}]}, lambda p: p["kind"] == "cat" or _rating(p) > 2),
    ({"$not": {"kind": "cat", "price": {"$lte": 7}}}, lambda p: not (p["kind"] == "cat" and p["price"] <= 7)),
    ({"$and": [{"kind": {"$in": ["cat", "dog"]}}, {"price": 3}]}, lambda p: p["kind"] in "cat dog" and p["price"] == 3),
)


def _rating(product: dict[str, Any]) -> float:
    return float(product["seller"].get("rating", -1))
