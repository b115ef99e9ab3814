"""Reports as their exports hold them, made without a database, and files read back."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any
from zipfile import ZipFile

from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet
from pypdf import PdfReader

from shared.models import json_text
from shared.models.report import DBReport, Report
from shared.models.report_export import ExportedFavorite, ExportedReport

REFERENCE = {"product_id": "r", "name": "Rex"}


def exported(*favorites: ExportedFavorite, reference: Any = REFERENCE, **fields: Any) -> ExportedReport:
    row = {
        "id": "3f0e9a52-7a5c-4b63-8d0f-0d4d1f2a9c11",
        "title": "My report",
        "author": "Alice",
        "date": "2026-01-31",
        "created_at": "2026-01-31T10:00:00.000000Z",
        "updated_at": "2026-02-01T11:12:13.000000Z",
        **fields,
    }
    report = DBReport.model_construct(
        user_id="u", reference=reference, favorites={favorite.product_id for favorite in favorites}, version=3, **row
    )
    return ExportedReport(Report.of(report), "own", "cosine", "m", "r", reference, favorites)


def favorite(product_id: str = "p", score: float | None = 0.5, **product: Any) -> ExportedFavorite:
    return ExportedFavorite(product_id, score, product)


def favorite_of(product_id: str, product: Mapping[str, Any]) -> ExportedFavorite:
    """Whatever its members are called."""
    return ExportedFavorite(product_id, 0.5, dict(product))


def read_csv(content: bytes) -> list[dict[str, str]]:
    """The records of a file as Python's own reader, and the byte order mark as Excel, takes them."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_document(content: bytes) -> Any:
    with ZipFile(io.BytesIO(content)) as archive:
        return json_text.loads(archive.read("report.json").decode())


def sheet(content: bytes, name: str) -> Worksheet:
    found: Worksheet = load_workbook(io.BytesIO(content))[name]
    return found


def values(content: bytes, name: str) -> list[list[Any]]:
    return [list(row) for row in sheet(content, name).iter_rows(values_only=True)]


def pdf_pages(content: bytes) -> Sequence[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]


def pdf_text(content: bytes) -> str:
    """Its words, whatever lines they are on."""
    return " ".join(" ".join(pdf_pages(content)).split())
