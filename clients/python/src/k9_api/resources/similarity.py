"""The similarity matrix of a model version: the nearest neighbours of every product, built in the background."""

from ..api import Call, given
from ..effects import Plan
from ..errors import TaskFailed
from ..models.embeddings import Catalogue
from ..models.similarity import MatrixState, Neighbors
from ..operations import BUILD_MATRIX, GET_MATRIX, GET_NEIGHBORS
from ..surface import AsyncGroup, Group, SyncGroup, operation
from ..waiting import until

_UNDER_WAY = ("queued", "running")
_BUILD_SECONDS = 900.0
"""What a build may take (README.md, "Limits")."""


class SimilarityMethods(Group):
    @operation
    def build(
        self, *, model_version: str, k: int | None = None, catalogue: Catalogue | None = None
    ) -> Plan[MatrixState]:
        """Has the `k` nearest neighbours of every product computed, or joins the build that is under way.

        Raises Conflict where one of another `k` is.
        """
        body = given(model_version=model_version, k=k, catalogue=catalogue)
        return self._api.fetch(MatrixState, Call(BUILD_MATRIX, body=body))

    @operation
    def status(self, *, model_version: str, catalogue: Catalogue | None = None) -> Plan[MatrixState]:
        """How the matrix stands."""
        return self._state(model_version, catalogue)

    @operation
    def wait(
        self, *, model_version: str, catalogue: Catalogue | None = None, timeout: float = _BUILD_SECONDS
    ) -> Plan[MatrixState]:
        """The state once the build is done. Raises TaskFailed where it fails or none was asked for, and WaitTimeout."""
        state = yield from until(
            lambda: self._state(model_version, catalogue),
            lambda state: state.state not in _UNDER_WAY,
            timeout,
            self._api.runtime,
            f"the matrix of {model_version} is built",
        )
        if state.state != "done":
            raise TaskFailed(
                f"the matrix of {model_version} is {state.state}: {state.error or 'ask for it with build'}"
            )
        return state

    @operation
    def neighbors(
        self,
        product_id: str,
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        limit: int | None = None,
    ) -> Plan[Neighbors]:
        """One product's nearest neighbours, as of the last finished build. Raises NotFound."""
        query = {"model_version": model_version, "catalogue": catalogue, "limit": limit}
        return self._api.fetch(Neighbors, Call(GET_NEIGHBORS, {"product_id": product_id}, query))

    def _state(self, model_version: str, catalogue: Catalogue | None) -> Plan[MatrixState]:
        query = {"model_version": model_version, "catalogue": catalogue}
        return self._api.fetch(MatrixState, Call(GET_MATRIX, query=query))


class Similarity(SimilarityMethods, SyncGroup):
    """`client.similarity`"""


class AsyncSimilarity(SimilarityMethods, AsyncGroup):
    """`client.similarity`, for asyncio."""
