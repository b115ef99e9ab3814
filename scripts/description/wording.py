"""What the document says of members, parameters and tags; of models and routes their own docstrings speak."""

from collections.abc import Mapping

from shared.models.embedding import MAX_PRODUCT_BYTES
from shared.models.report import MAX_FAVORITES, MAX_REFERENCE_BYTES
from shared.models.user import MAX_PREFERENCES_BYTES

DESCRIPTION = (
    "Reports about products, product embeddings, and which products are most alike. JSON in UTF-8 both ways; errors are"
    " problem+json (RFC 9457). Every user has rows of their own; the shared catalogue can be read by all."
)

TAGS: Mapping[str, str] = {
    "users": "The caller's own profile.",
    "reports": "Reports, their favourite products, and searches from a report.",
    "embeddings": "Product vectors by model version, searches, and the similarity matrix.",
    "documentation": "This document, and the page that shows it.",
    "service": "The service itself.",
}
"""Tags are the packages of handlers."""

_MEMBERS: Mapping[str, str] = {
    "author": "Who wrote the report; the profile's name where it is not given.",
    "avatar_error": "Why the image that was uploaded last was refused; null where it was not.",
    "avatar_id": "Names one uploaded image.",
    "avatar_url": "Where an image of the user is.",
    "built_at": "When the last finished matrix was built (RFC 3339, UTC).",
    "bytes": "The size of the file.",
    "catalogue": "Whose products: the caller's own, or the shared ones that every signed-in user may read.",
    "content_type": "The media type of the file.",
    "continuation": "Where the next step goes on; null once everything has been examined.",
    "count": "How many products there are; null where that could not be had in time.",
    "created_at": "When it was made (RFC 3339, UTC).",
    "cursor": "Where to go on: `next_cursor` of the page before. Only cursors that this route gave can be used.",
    "date": "The day that the report is of, YYYY-MM-DD; today (UTC) where it is not given.",
    "deleted": "How many were deleted.",
    "detail": "What was wrong, in words.",
    "diversity": "How much being unlike the hits before counts (maximal marginal relevance); goes with cosine alone.",
    "dry_run": "Only count; nothing is deleted.",
    "email": "The user's e-mail address.",
    "embedding_vector": "The vector; its components are kept as float32.",
    "embeddings": "The embeddings of this page.",
    "error": "Why the newest build came to nothing; null where it did not.",
    "errors": "The single faults.",
    "examined": "How many products were looked at.",
    "expires_at": "Until when the address can be used (RFC 3339, UTC).",
    "failed": "How many items were not stored.",
    "favorites": f"Ids of the report's favourite products, at most {MAX_FAVORITES}.",
    "fields": "The form fields to send along with the file.",
    "file": "The name of the file.",
    "file_name": "What to call the file.",
    "filter": "Which products, by their metadata; `{}` is all of them.",
    "format": "The format of the file.",
    "has_more": "Whether there is another page.",
    "higher_is_better": "In every metric the higher score is the nearer.",
    "hits": "What was found, best first.",
    "id": "Names the report.",
    "include_total": "Count all reports, which reads the whole index.",
    "include_vectors": "Answer with the vectors, too.",
    "index": "The place of the item in the batch, from 0.",
    "is_favorite": "Whether the product is a favourite of the report.",
    "is_stale": "Whether products have changed since that matrix was built.",
    "items": "The products to store. Each is judged on its own: a bad one is answered in its place.",
    "k": "How many neighbours a product has in the matrix.",
    "limit": "How many at most.",
    "matched": "How many of them the filter matched.",
    "max_bytes": "The largest file that is taken.",
    "message": "What is wrong there, in words.",
    "metric": "How vectors are compared; the score of `euclidean` is the negated distance.",
    "min_score": "Hits score at least this.",
    "model_version": "Which model made the vectors. The first vector stored under it fixes its dimension.",
    "models": "The model versions, by name.",
    "name": "The user's name.",
    "neighbors": "The nearest products, the nearest first.",
    "next_cursor": "Where the next page goes on; null on the last.",
    "owner": "Names whose image it is.",
    "pointer": "A JSON Pointer (RFC 6901) into the request.",
    "preferences": f"The user's settings, any JSON object of at most {MAX_PREFERENCES_BYTES // 1024} KB.",
    "problem": "The slug of the problem that a request of its own would have had.",
    "product": f"The product's metadata, any JSON object of at most {MAX_PRODUCT_BYTES // 1024} KB.",
    "product_id": "Names the product.",
    "progress": "The share of the newest build that is done, 0 to 1.",
    "reference": (
        f"The product that the report is about, any JSON object of at most {MAX_REFERENCE_BYTES // 1024} KB; searches"
        " look for its product_id or id."
    ),
    "reference_product_id": "The product that the report's reference names.",
    "report_id": "Names the report.",
    "reports": "The reports of this page.",
    "requested_at": "When the newest build was asked for (RFC 3339, UTC).",
    "results": "What became of each item, in order.",
    "rows": "How many products the last finished matrix has.",
    "score": "How alike the two are; the higher, the nearer.",
    "state": "How it stands.",
    "status": "The HTTP status.",
    "stored": "How many items were stored.",
    "title": "What the report is called.",
    "top_k": "How many hits at most.",
    "total": "How many reports there are in all, where that was asked for.",
    "updated_at": "When it last changed (RFC 3339, UTC).",
    "url": "The address to use.",
    "user_id": "Names the user, as the token's `sub` does.",
    "vector_dimension": "How many components the vector has.",
    "version": "Counts the changes, from 1; also the ETag.",
}
"""What a member or parameter of that name means, wherever it is."""

_EXCEPTIONS: Mapping[tuple[str, str], str] = {
    ("export_report", "model_version"): (
        "Whose vectors and metadata the file has. Where it is not given, the catalogue's only model version; of several"
        " none, and then there are neither scores nor metadata."
    ),
    ("Health", "status"): "Whether the service answers.",
    ("Health", "version"): "The version of the service.",
    ("ItemResult", "product_id"): "The product's id as the item has it; null where it has none.",
    ("ItemResult", "status"): "The status that a request of its own would have had.",
    ("ModelSummary", "updated_at"): "When its products last changed (RFC 3339, UTC); null before they ever did.",
    ("AccountExport", "embeddings"): "How many embeddings the copy has so far.",
    ("AccountExport", "error"): "Why no copy could be made; null where that did not happen.",
    ("AccountExport", "finished_at"): "When the copy was finished (RFC 3339, UTC).",
    ("AccountExport", "kept_until"): "Until when the file is kept; another can be asked for at any time.",
    ("AccountExport", "reports"): "How many reports the copy has so far.",
    ("AccountExport", "requested_at"): "When the copy was asked for (RFC 3339, UTC).",
    ("ErasureState", "embeddings"): "How many embeddings were erased; at least so many.",
    ("ErasureState", "final_pass_at"): (
        "When everything is erased once more, as no token of before is good any more (RFC 3339, UTC)."
    ),
    ("ErasureState", "finished_at"): "When nothing was left (RFC 3339, UTC); what is stored after it stays.",
    ("ErasureState", "objects"): "How many files were erased; at least so many.",
    ("ErasureState", "reports"): "How many reports were erased; at least so many.",
    ("ErasureState", "requested_at"): "When the erasure was asked for (RFC 3339, UTC).",
    ("ReportList", "reports"): "The reports of this page, newest first.",
    ("SearchEmbeddings", "embedding_vector"): "What to look for; or name a product.",
    ("SearchEmbeddings", "product_id"): "The stored product to look for, which is not found itself; or give a vector.",
    ("SearchOptions", "embedding_vector"): "What to look for, in place of the report's reference.",
}
"""By model, or operation, and member: where the word means something else."""


def member_text(place: str, member: str) -> str | None:
    """What a member of a model, or a parameter of an operation, means; None where there are no words for it."""
    return _EXCEPTIONS.get((place, member), _MEMBERS.get(member))
