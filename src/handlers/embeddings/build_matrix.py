"""POST /embeddings/similarity"""

from shared.auth import Caller
from shared.database import EmbeddingRepository, ModelVersionRepository, Terms
from shared.errors import Conflict, Forbidden
from shared.http import Answer, endpoint
from shared.models.embedding import BuildMatrix, MatrixState
from shared.similarity.matrix import MatrixStore
from shared.similarity.matrix_status import MatrixStatus
from shared.similarity.objects import default_objects
from shared.tasks import request_task

from .catalogues import owner_to_write, query_of
from .matrix_state import matrix_state
from .preconditions import refuse_if_match


@endpoint(
    "POST", "/embeddings/similarity", status=202, refusals=(Forbidden, Conflict), honours=(), limited_as="searches"
)
def handler(caller: Caller, body: BuildMatrix, terms: Terms) -> Answer[MatrixState]:
    """Have the similarity matrix of a model version built: the k nearest neighbours of every product.

    Whoever asks for the build that is under way joins it.
    """
    refuse_if_match(terms)
    owner = owner_to_write(caller, body.catalogue)
    ModelVersionRepository.require_dimension(owner, body.model_version, "/body/model_version")
    # Before anything is asked for, so that no failure follows what has been done.
    last_change = EmbeddingRepository.last_change(owner, body.model_version)
    store = MatrixStore(default_objects(), owner, body.model_version)
    status, is_new = store.request_build(body.k)
    if status.state == "queued":  # also by another, whose own asking may have failed
        _ask_worker(owner, body.model_version, store, status, is_new=is_new)
    place = f"/embeddings/similarity?{query_of(body.model_version, body.catalogue)}"
    return Answer(matrix_state(body.model_version, status, last_change), 202, place)


def _ask_worker(owner: str, model_version: str, store: MatrixStore, status: MatrixStatus, *, is_new: bool) -> None:
    """Ask for the build; one that was only now put down is taken back where that fails."""
    is_asked = False
    try:
        request_task({"task": "matrix", "owner": owner, "model_version": model_version, "build_id": status.build_id})
        is_asked = True
    finally:
        if is_new and not is_asked:
            store.withdraw(status, "The worker could not be asked. Ask for the matrix again.")
