"""GET /embeddings/models"""

from functools import partial

from shared.auth import Caller
from shared.database import EmbeddingRepository, ModelVersionRepository
from shared.database.parallel import run_all, values_of
from shared.errors import ApiError, Forbidden
from shared.http import endpoint
from shared.models.embedding import ListModels, ModelList, ModelSummary
from shared.similarity.objects import default_objects
from shared.similarity.summary import count_products

from .catalogues import owner_to_read


@endpoint("GET", "/embeddings/models", refusals=(Forbidden,))
def handler(caller: Caller, query: ListModels) -> ModelList:
    """The model versions of a catalogue, each with its dimension, its number of products and its last change.

    A number that cannot be had in time, as of a large model version before its first snapshot, is null.
    """
    owner = owner_to_read(caller, query.catalogue)
    models = ModelVersionRepository.list_model_versions(owner)
    changes = values_of(run_all([partial(EmbeddingRepository.last_change, owner, name) for name in models]))
    counts = run_all([partial(_count, owner, name) for name in models])
    return ModelList(
        models=[
            ModelSummary(
                model_version=name,
                vector_dimension=dimension,
                count=None if isinstance(count, ApiError) else count,
                updated_at=last_change,
            )
            for (name, dimension), count, last_change in zip(models.items(), counts, changes, strict=True)
        ]
    )


def _count(owner: str, model_version: str) -> int:
    return count_products(default_objects(), EmbeddingRepository(), owner, model_version)
