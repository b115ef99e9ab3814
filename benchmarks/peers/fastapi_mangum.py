"""The route in FastAPI behind Mangum. `def`, as FastAPI asks where a library such as boto3 blocks."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Path  # type: ignore[import-not-found]
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer  # type: ignore[import-not-found]
from mangum import Mangum  # type: ignore[import-not-found]

from benchmarks.peers.identity import InvalidToken, user_of
from benchmarks.peers.reports import Report, find_report

app = FastAPI()


def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    try:
        return user_of(credentials.credentials)
    except InvalidToken as error:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from error


@app.get("/reports/{report_id}", response_model=Report)  # type: ignore[untyped-decorator]
def get_report(
    report_id: Annotated[str, Path(min_length=1, max_length=128)], user: Annotated[str, Depends(current_user)]
) -> Report:
    report = find_report(report_id, user)
    if report is None:
        raise HTTPException(404)
    return report


handler = Mangum(app, lifespan="off")
