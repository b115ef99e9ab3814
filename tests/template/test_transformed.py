"""What SAM makes of the template: the routes that API Gateway gets."""

import json
import subprocess
from typing import Any

import pytest

from scripts.local.folder import PROJECT
from scripts.local.template import Template

TRANSFORM = [PROJECT / ".venv-template" / "bin" / "python", PROJECT / "tests" / "support" / "sam_transform.py"]
PARAMETERS = {
    "Environment": "dev",
    "UserPoolId": "us-east-1_Pool",
    "UserPoolClientIds": "one,two",
    "AllowedOrigins": "https://app.example.com",
}


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    document = Template.load().document
    # The transform takes code only as it is after packaging.
    document["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"
    for layer in Template.load().resources("AWS::Serverless::LayerVersion"):
        document["Resources"][layer]["Properties"]["ContentUri"] = "s3://bucket/layer"
    request = json.dumps({"template": document, "parameters": PARAMETERS})
    done = subprocess.run(TRANSFORM, input=request, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return found


def operations(resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    paths = resources["HttpApi"]["Properties"]["Body"]["paths"]
    return {f"{method.upper()} {path}": body for path, item in paths.items() for method, body in item.items()}


def test_the_api_has_the_templates_routes(resources: dict[str, Any]) -> None:
    assert set(operations(resources)) == {route.key for route in Template.load().routes()}


def test_every_route_but_health_has_the_authorizer(resources: dict[str, Any]) -> None:
    security = {key: body.get("security") for key, body in operations(resources).items()}
    assert security.pop("GET /health") == [{"NONE": []}]
    assert all(scheme == [{"Cognito": []}] for scheme in security.values())


def test_the_authorizer_is_the_pools(resources: dict[str, Any]) -> None:
    schemes = resources["HttpApi"]["Properties"]["Body"]["components"]["securitySchemes"]
    assert list(schemes) == ["Cognito"]
    settings = schemes["Cognito"]["x-amazon-apigateway-authorizer"]
    assert settings["type"] == "jwt"
    assert settings["jwtConfiguration"]["audience"] == {"Ref": "UserPoolClientIds"}


def test_sam_adds_no_role_of_its_own(resources: dict[str, Any]) -> None:
    roles = {name for name, body in resources.items() if body["Type"] == "AWS::IAM::Role"}
    assert roles == set(Template.load().resources("AWS::IAM::Role"))
