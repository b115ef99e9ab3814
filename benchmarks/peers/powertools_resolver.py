"""The route in Powertools' resolver, with validation on."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError, UnauthorizedError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.params import Path

from benchmarks.peers.identity import InvalidToken, user_of
from benchmarks.peers.reports import Report, find_report

app = APIGatewayHttpResolver(enable_validation=True)


def verify_token(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    scheme, _, token = app.current_event.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthorizedError("A bearer token is required.")
    try:
        app.append_context(user=user_of(token))  # type: ignore[no-untyped-call]
    except InvalidToken as error:
        raise UnauthorizedError("A valid bearer token is required.") from error
    return next_middleware(app)


@app.get("/reports/<report_id>", middlewares=[verify_token])
def get_report(report_id: Annotated[str, Path(min_length=1, max_length=128)]) -> Report:
    report = find_report(report_id, app.context["user"])
    if report is None:
        raise NotFoundError("There is no such report.")
    return report


handler = app.resolve
