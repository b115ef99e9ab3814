"""GET /embeddings/similarity"""

from shared.auth import Caller
from shared.database import EmbeddingRepository, ModelVersionRepository
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.embedding import EmbeddingKey, MatrixState
from shared.similarity.matrix import MatrixStore
from shared.similarity.objects import default_objects

from .catalogues import owner_to_read
from .matrix_state import matrix_state


@endpoint("GET", "/embeddings/similarity", refusals=(Forbidden,))
def handler(caller: Caller, query: EmbeddingKey) -> MatrixState:
    """How the similarity matrix of a model version stands."""
    owner = owner_to_read(caller, query.catalogue)
    ModelVersionRepository.require_dimension(owner, query.model_version, "/query/model_version")
    status = MatrixStore(default_objects(), owner, query.model_version).status()
    return matrix_state(query.model_version, status, EmbeddingRepository.last_change(owner, query.model_version))
