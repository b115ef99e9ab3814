"""The product with limits so low that a scene of a dozen rows has pages, segments, parts and steps."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

from shared.account.exporting import export
from shared.similarity.builder import SnapshotBuilder

SEGMENT_ROWS = 4
_MANY_SMALL = 3
STEP_ROWS = 3
_NO_PAUSE = "time.sleep"
_SMALLER: dict[str, Any] = {
    "shared.similarity.jobs.SnapshotBuilder": partial(SnapshotBuilder, segment_rows=SEGMENT_ROWS),
    "shared.similarity.builder._MANY_SMALL": _MANY_SMALL,
    "shared.similarity.matrix_build.rows_per_object": lambda k: 2,
    "shared.similarity.loading.SNAPSHOT_ROWS": 3,
    "shared.database.embedding_deletion.STEP_ROWS": STEP_ROWS,
    "shared.database.embedding_erasure._PAGE_ROWS": 2,
    "shared.database.account_rows._PAGE_ROWS": 2,
    "shared.account.sections._PAGE_ROWS": 2,
    "shared.account.sections.FILE_BYTES": 300,
    "handlers.worker.export": partial(export, part_bytes=400),
    "handlers.reports.export_report.EXPORT_INLINE_BYTES": 600,
    "shared.limits.recount.SETTLE_SECONDS": 0.0,
    "moto.s3.models.S3_UPLOAD_PART_MIN_SIZE": 1,
    _NO_PAUSE: lambda seconds: None,
}


@contextmanager
def small_sizes() -> Iterator[None]:
    with ExitStack() as stack:
        for name, value in _SMALLER.items():
            stack.enter_context(patch(name, value))
        yield
