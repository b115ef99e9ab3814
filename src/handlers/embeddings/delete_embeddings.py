"""POST /embeddings/delete"""

from shared.auth import Caller
from shared.database import EmbeddingRepository, ModelVersionRepository, Terms
from shared.database.embedding_deletion import delete_step
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.embedding import DeleteEmbeddings, DeleteResult

from .catalogues import owner_to_write
from .preconditions import refuse_if_match


@endpoint("POST", "/embeddings/delete", refusals=(Forbidden,), honours=())
def handler(caller: Caller, body: DeleteEmbeddings, terms: Terms) -> DeleteResult:
    """One step of deleting what the filter matches; the caller goes on with `continuation` until it is null."""
    refuse_if_match(terms)
    owner = owner_to_write(caller, body.catalogue)
    ModelVersionRepository.require_dimension(owner, body.model_version, "/body/model_version")
    step = delete_step(
        EmbeddingRepository(), owner, body.model_version, body.filter, body.continuation, is_dry_run=body.dry_run
    )
    return DeleteResult(
        dry_run=body.dry_run,
        examined=step.examined,
        matched=step.matched,
        deleted=step.deleted,
        continuation=step.continuation,
    )
