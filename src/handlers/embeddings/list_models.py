"""GET /embeddings/models"""

from functools import partial

from shared.auth import Caller
from shared.database import EmbeddingRepository, ModelVersionRepository
from shared.database.parallel import run_all
from shared.errors import ApiError
from shared.http import endpoint
from shared.models.embedding import ListModels, ModelList, ModelSummary
from shared.similarity.objects import default_objects
from shared.similarity.summary import count_products

from .catalogues import owner_to_read


@endpoint("GET", "/embeddings/models")
def handler(caller: Caller, query: ListModels) -> ModelList:
    """The model versions of a catalogue, each with its dimension, its number of products and its last change."""
    owner = owner_to_read(caller, query.catalogue)
    models = ModelVersionRepository.list_model_versions(owner)
    outcomes = run_all([partial(_summary, owner, name, dimension) for name, dimension in models.items()])
    return ModelList(models=[_raised(outcome) for outcome in outcomes])


def _summary(owner: str, model_version: str, dimension: int) -> ModelSummary:
    return ModelSummary(
        model_version=model_version,
        vector_dimension=dimension,
        count=count_products(default_objects(), EmbeddingRepository(), owner, model_version),
        updated_at=EmbeddingRepository.last_change(owner, model_version),
    )


def _raised(outcome: ModelSummary | ApiError) -> ModelSummary:
    if isinstance(outcome, ApiError):
        raise outcome
    return outcome
