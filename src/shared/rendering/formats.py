"""Which formats there are, and their files."""

from dataclasses import dataclass
from importlib import import_module

from ..models.report_export import ExportedReport, ExportFormat
from .file_names import file_name

MEDIA_TYPES: dict[ExportFormat, str] = {
    "zip": "application/zip",
    "csv": "text/csv; charset=utf-8; header=present",  # RFC 4180, section 3
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A finished file."""

    name: str
    media_type: str
    body: bytes


def render(file_format: ExportFormat, exported: ExportedReport) -> RenderedFile:
    """The report as a file. A format's module, and the libraries that it needs, are imported when it is first used."""
    module = import_module(f".{file_format}_file", __package__)
    return RenderedFile(file_name(exported.report, file_format), MEDIA_TYPES[file_format], module.render(exported))
