"""The template as SAM transforms it, and as CloudFormation then reads it for given parameters."""

import copy
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scripts.local.cloudformation import Resolver
from scripts.local.folder import PROJECT
from scripts.local.template import Deployment, Template

TRANSFORM = [PROJECT / ".venv-template" / "bin" / "python", PROJECT / "tests" / "support" / "sam_transform.py"]
DEPLOYMENT = Deployment("dev", "us-east-1_Pool", ("one", "two"), ("https://app.example.com",))
NAMED = {"AWS::DynamoDB::Table": "TableName", "AWS::S3::Bucket": "BucketName", "AWS::SQS::Queue": "QueueName"}

Resources = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Stack:
    """What CloudFormation would make: nothing whose condition is false, every function of the template resolved.

    A reference to a resource without a name of its own is its logical id, an attribute is `LogicalId.Attribute`.
    """

    resources: Resources
    outputs: dict[str, str]

    def of(self, kind: str) -> Resources:
        return {name: body for name, body in self.resources.items() if body["Type"] == kind}

    def properties(self, logical_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.resources[logical_id]["Properties"]
        return found

    @property
    def operations(self) -> dict[str, dict[str, Any]]:
        """What API Gateway gets of each route."""
        paths = self.properties("HttpApi")["Body"]["paths"]
        return {f"{method.upper()} {path}": body for path, item in paths.items() for method, body in item.items()}

    def function_of(self, route: str) -> str:
        """The function whose alias the gateway invokes."""
        uri = self.operations[route]["x-amazon-apigateway-integration"]["uri"]
        alias = uri.split("/functions/")[1].removesuffix("/invocations")
        return str(self.properties(alias)["FunctionName"])


@lru_cache
def transform(release: str = "") -> dict[str, Any]:
    """SAM's output, unresolved. Do not change it: it is shared."""
    document = copy.deepcopy(Template.load().document)
    # The transform takes code only as it is after packaging.
    document["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"
    for layer in Template.load().resources("AWS::Serverless::LayerVersion"):
        document["Resources"][layer]["Properties"]["ContentUri"] = "s3://bucket/layer"
    stated = {name: body["Default"] for name, body in document["Parameters"].items() if "Default" in body}
    # CloudFormation hands a CommaDelimitedList on to a transform as a list.
    stated |= {"Environment": "dev", "AllowedOrigins": ["https://app.example.com"], "Release": release}
    request = json.dumps({"template": document, "parameters": stated})
    done = subprocess.run(TRANSFORM, input=request, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def stack(deployment: Deployment = DEPLOYMENT, release: str = "") -> Stack:
    document = transform(release)
    resolver = _resolver(document, deployment)
    kept = {
        name: body
        for name, body in document["Resources"].items()
        if "Condition" not in body or resolver.holds(body["Condition"])
    }
    outputs = {name: resolver.resolve(body["Value"]) for name, body in document["Outputs"].items()}
    return Stack({name: {**body, **_resolved(body, resolver)} for name, body in kept.items()}, outputs)


def _resolved(body: Mapping[str, Any], resolver: Resolver) -> dict[str, Any]:
    return {"Properties": resolver.resolve(body.get("Properties", {}))}


def _resolver(document: Mapping[str, Any], deployment: Deployment) -> Resolver:
    defaults = {name: body["Default"] for name, body in document["Parameters"].items() if "Default" in body}
    ids = {name: name for name in document["Resources"]}
    names = {"AWS::StackName": "k9-api-dev", **ids, **defaults, **deployment.names}
    plain = Resolver(names, {}, document["Conditions"])
    for name, body in document["Resources"].items():
        if body["Type"] in NAMED:
            names[name] = plain.resolve(body["Properties"][NAMED[body["Type"]]])
    return Resolver(names, _attributes(document, deployment), document["Conditions"])


def _attributes(document: Mapping[str, Any], deployment: Deployment) -> dict[tuple[str, str], str]:
    text = json.dumps(document)
    used = re.findall(r'"Fn::GetAtt": \["(\w+)", "([\w.]+)"\]', text) + re.findall(r"\$\{(\w+)\.([\w.]+)\}", text)
    found = {(name, attribute): f"{name}.{attribute}" for name, attribute in used}
    template = Template.load().resolver(deployment)
    for name, body in document["Resources"].items():
        if body["Type"] in NAMED:
            found[name, "Arn"] = template.resolve({"Fn::GetAtt": [name, "Arn"]})
    return found
