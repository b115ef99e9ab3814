"""What a file says of a report besides its favourites, in words, for the formats that are read by people."""

from ..models.report_export import ExportedReport
from .texts import valid


def facts(exported: ExportedReport) -> list[tuple[str, str | int]]:
    """Names and values, in the order in which they are shown; what is not known is an empty text."""
    report = exported.report
    told: list[tuple[str, str | int]] = [
        ("Title", report.title),
        ("Author", report.author),
        ("Date", report.date),
        ("Report", report.id),
        ("Version", report.version),
        ("Created", report.created_at),
        ("Changed", report.updated_at),
        ("Reference product", exported.reference_product_id or ""),
        ("Favorites", len(exported.favorites)),
        ("Catalogue", exported.catalogue),
        ("Model version", exported.model_version or ""),
        ("Score", f"{exported.metric}, higher is better" if exported.model_version else ""),
    ]
    return [(name, valid(value) if isinstance(value, str) else value) for name, value in told]
