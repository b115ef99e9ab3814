"""Embeddings: stored, found, changed and deleted, one by one and by the thousand."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..api import Call, IfMatch, given
from ..batches import StoreReport, store_all
from ..deletions import DeleteReport, delete_all
from ..effects import Flow, Plan
from ..json_text import float32
from ..models.embeddings import (
    BatchResult,
    Catalogue,
    DeleteResult,
    Embedding,
    EmbeddingList,
    Metric,
    ModelList,
    NewEmbedding,
    SearchResult,
)
from ..operations import (
    DELETE_EMBEDDING,
    DELETE_EMBEDDINGS,
    GET_EMBEDDING,
    LIST_EMBEDDINGS,
    LIST_MODELS,
    SEARCH_EMBEDDINGS,
    STORE_EMBEDDING,
    STORE_EMBEDDINGS,
    UPDATE_PRODUCT,
)
from ..paging import MAX_PAGE, walk
from ..splitting import item_members
from ..surface import AsyncGroup, Group, SyncGroup, iteration, operation
from .searching import search_body


class EmbeddingMethods(Group):
    @operation
    def store(
        self,
        product_id: str,
        *,
        model_version: str,
        embedding_vector: Iterable[float],
        product: Mapping[str, Any] | None = None,
        catalogue: Catalogue | None = None,
        if_match: IfMatch = None,
        idempotency_key: str | None = None,
    ) -> Plan[Embedding]:
        """Stores a product's embedding, or replaces it: `if_match` replaces one that is there at this version only."""
        body = given(
            product_id=product_id,
            model_version=model_version,
            embedding_vector=float32(embedding_vector),
            product=product,
            catalogue=catalogue,
        )
        return self._api.fetch(
            Embedding, Call(STORE_EMBEDDING, body=body, if_match=if_match, idempotency_key=idempotency_key)
        )

    @operation
    def store_batch(
        self,
        items: Iterable[NewEmbedding],
        *,
        catalogue: Catalogue | None = None,
        idempotency_key: str | None = None,
    ) -> Plan[BatchResult]:
        """One request of up to 100 items, and what became of each; `store_many` splits, and retries what it can."""
        body = given(items=[item_members(item) for item in items], catalogue=catalogue)
        return self._api.fetch(BatchResult, Call(STORE_EMBEDDINGS, body=body, idempotency_key=idempotency_key))

    @operation
    def store_many(self, items: Iterable[NewEmbedding], *, catalogue: Catalogue = "own") -> Plan[StoreReport]:
        """Stores any number of items in batches of at most 100 and 1 MB, taking them as they are sent.

        An item that failed for a passing reason (throttled, unavailable, outcome unknown) is sent again as the client's
        RetryPolicy says; what failed in the end is in the report, in order, with its problem. Raises StoreInterrupted,
        which has the report so far, where a batch fails as a whole.
        """
        return store_all(self._api, items, catalogue)

    @operation
    def get(
        self,
        product_id: str,
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        include_vectors: bool | None = None,
    ) -> Plan[Embedding]:
        """One product's embedding, with its vector unless `include_vectors` is False. Raises NotFound."""
        query = {**_key(model_version, catalogue), "include_vectors": include_vectors}
        return self._api.fetch(Embedding, Call(GET_EMBEDDING, _of(product_id), query))

    @operation
    def list(
        self,
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        include_vectors: bool | None = None,
    ) -> Plan[EmbeddingList]:
        """One page, newest change first; the next begins at `next_cursor`. It may be empty and not the last."""
        return self._page(model_version, catalogue, limit, cursor, include_vectors)

    @iteration
    def pages(
        self,
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        limit: int = MAX_PAGE,
        include_vectors: bool | None = None,
    ) -> Flow[EmbeddingList]:
        """Every page, newest change first."""
        return walk(
            lambda cursor: self._page(model_version, catalogue, limit, cursor, include_vectors), lambda page: [page]
        )

    @iteration
    def iterate(
        self,
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        limit: int = MAX_PAGE,
        include_vectors: bool | None = None,
    ) -> Flow[Embedding]:
        """Every embedding, newest change first; `limit` is how many one request asks for."""
        return walk(
            lambda cursor: self._page(model_version, catalogue, limit, cursor, include_vectors),
            lambda page: page.embeddings,
        )

    @operation
    def update(
        self,
        product_id: str,
        *,
        model_version: str,
        product: Mapping[str, Any],
        catalogue: Catalogue | None = None,
        if_match: IfMatch = None,
        idempotency_key: str | None = None,
    ) -> Plan[Embedding]:
        """Replaces the product's metadata as a whole; the vector stays. Raises NotFound, PreconditionFailed."""
        call = Call(
            UPDATE_PRODUCT,
            _of(product_id),
            _key(model_version, catalogue),
            {"product": product},
            if_match,
            idempotency_key,
        )
        return self._api.fetch(Embedding, call)

    @operation
    def delete(
        self,
        product_id: str,
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        if_match: IfMatch = None,
        idempotency_key: str | None = None,
    ) -> Plan[None]:
        """Deletes one product's embedding. Raises NotFound, PreconditionFailed."""
        return self._api.remove(
            Call(
                DELETE_EMBEDDING,
                _of(product_id),
                _key(model_version, catalogue),
                if_match=if_match,
                idempotency_key=idempotency_key,
            )
        )

    @operation
    def delete_step(
        self,
        filter: Mapping[str, Any],
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        dry_run: bool | None = None,
        continuation: str | None = None,
    ) -> Plan[DeleteResult]:
        """One step of deleting what the filter matches; `delete_matching` takes them all."""
        return self._deletion(filter, model_version, catalogue, dry_run, continuation)

    @operation
    def delete_matching(
        self,
        filter: Mapping[str, Any],
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        dry_run: bool | None = None,
    ) -> Plan[DeleteReport]:
        """Deletes all that the filter matches, `{}` everything; `dry_run` counts. Raises what a step raises."""
        return delete_all(lambda continuation: self._deletion(filter, model_version, catalogue, dry_run, continuation))

    @operation
    def models(self, *, catalogue: Catalogue | None = None) -> Plan[ModelList]:
        """The model versions: dimension, count, last change."""
        return self._api.fetch(ModelList, Call(LIST_MODELS, query={"catalogue": catalogue}))

    @operation
    def search(
        self,
        *,
        model_version: str,
        embedding_vector: Iterable[float] | None = None,
        product_id: str | None = None,
        top_k: int | None = None,
        min_score: float | None = None,
        filter: Mapping[str, Any] | None = None,
        metric: Metric | None = None,
        diversity: float | None = None,
        catalogue: Catalogue | None = None,
        include_vectors: bool | None = None,
    ) -> Plan[SearchResult]:
        """The products most like a vector, or like a stored product, which is not found itself."""
        body = search_body(
            model_version, embedding_vector, top_k, min_score, filter, metric, diversity, catalogue, include_vectors
        )
        return self._api.fetch(SearchResult, Call(SEARCH_EMBEDDINGS, body={**body, **given(product_id=product_id)}))

    def _page(
        self,
        model_version: str,
        catalogue: Catalogue | None,
        limit: int | None,
        cursor: str | None,
        include_vectors: bool | None,
    ) -> Plan[EmbeddingList]:
        query = {
            **_key(model_version, catalogue),
            "limit": limit,
            "cursor": cursor,
            "include_vectors": include_vectors,
        }
        return self._api.fetch(EmbeddingList, Call(LIST_EMBEDDINGS, query=query))

    def _deletion(
        self,
        filter: Mapping[str, Any],
        model_version: str,
        catalogue: Catalogue | None,
        dry_run: bool | None,
        continuation: str | None,
    ) -> Plan[DeleteResult]:
        body = given(
            model_version=model_version,
            filter=filter,
            catalogue=catalogue,
            dry_run=dry_run,
            continuation=continuation,
        )
        return self._api.fetch(DeleteResult, Call(DELETE_EMBEDDINGS, body=body))


class Embeddings(EmbeddingMethods, SyncGroup):
    """`client.embeddings`"""


class AsyncEmbeddings(EmbeddingMethods, AsyncGroup):
    """`client.embeddings`, for asyncio."""


def _of(product_id: str) -> dict[str, str]:
    return {"product_id": product_id}


def _key(model_version: str, catalogue: Catalogue | None) -> dict[str, str | None]:
    return {"model_version": model_version, "catalogue": catalogue}
