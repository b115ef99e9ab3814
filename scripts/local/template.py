"""infrastructure/template.yaml as typed values: what the laptop stack and the tests build from it.

    template = Template.load()
    for table in template.tables("dev"):
        client.create_table(**table.create)
    for route in template.routes():
        print(route.method, route.path, route.handler)

Nothing here talks to AWS or opens a socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from scripts.local.cloudformation import Resolver, TemplateError, parse

DEFAULT_PATH = Path(__file__).resolve().parents[2] / "infrastructure" / "template.yaml"

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_TABLE = "AWS::DynamoDB::Table"
_BUCKET = "AWS::S3::Bucket"
_FUNCTION = "AWS::Serverless::Function"
_API = "AWS::Serverless::HttpApi"
_QUEUE = "AWS::SQS::Queue"
_NAMED = {_TABLE: "TableName", _BUCKET: "BucketName", _QUEUE: "QueueName"}

# What decides how a table behaves. The rest (recovery, encryption, protection) guards data that must outlive a laptop.
_SHAPE = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


@dataclass(frozen=True, slots=True)
class Deployment:
    """The parameters and account that a template is read for; `parameters` are those that have a default in it."""

    environment: str
    user_pool_id: str = "us-east-1_Unknown00"
    client_ids: tuple[str, ...] = ("unknown",)
    allowed_origins: tuple[str, ...] = ()
    region: str = "us-east-1"
    account: str = "000000000000"
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def names(self) -> dict[str, Any]:
        """What `Ref` finds, resources and defaults aside."""
        return {
            "Environment": self.environment,
            "UserPoolId": self.user_pool_id,
            "UserPoolClientIds": ",".join(self.client_ids),
            "AllowedOrigins": list(self.allowed_origins),
            "AWS::Region": self.region,
            "AWS::AccountId": self.account,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            **self.parameters,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `create` goes to boto3's create_table as it is, `time_to_live` to update_time_to_live."""

    logical_id: str
    create: dict[str, Any]
    time_to_live: dict[str, Any] | None

    @property
    def name(self) -> str:
        return str(self.create["TableName"])


@dataclass(frozen=True, slots=True)
class Route:
    """One route and the function behind it. `open` routes have no authorizer."""

    method: Method
    path: str
    handler: str
    function: str
    open: bool
    timeout: int

    @property
    def key(self) -> str:
        """API Gateway's name of the route, such as `GET /reports/{report_id}`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Cors:
    """The API's CorsConfiguration; the origins come from a parameter, hence from the deployment."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    expose: tuple[str, ...]
    max_age: int


@dataclass(frozen=True)
class Template:
    """A parsed template; every method is a pure reading of it."""

    document: dict[str, Any] = field(repr=False)

    @classmethod
    def load(cls, path: Path = DEFAULT_PATH) -> Self:
        try:
            return cls(parse(path.read_text(encoding="utf-8")))
        except FileNotFoundError as exc:
            raise TemplateError(f"There is no template at {path}.") from exc

    def tables(self, environment: str) -> list[Table]:
        resolver = self.resolver(Deployment(environment))
        return [self._table(name, body, resolver) for name, body in self.resources(_TABLE).items()]

    def bucket(self, environment: str, *, account: str = "000000000000") -> str:
        """The name of the bucket of similarity data."""
        bodies = list(self.resources(_BUCKET).values())
        if len(bodies) != 1:
            raise TemplateError(f"The template has {len(bodies)} buckets; exactly one is expected.")
        deployment = Deployment(environment, account=account)
        return str(self.resolver(deployment).resolve(bodies[0]["Properties"]["BucketName"]))

    def routes(self) -> list[Route]:
        """Every route, in the order of the template."""
        functions = self.resources(_FUNCTION).items()
        return [self._route(name, body, event) for name, body in functions for event in _http_events(body)]

    def cors(self, deployment: Deployment) -> Cors:
        stated = self.resolver(deployment).resolve(self.api["CorsConfiguration"])
        return Cors(
            origins=tuple(stated["AllowOrigins"]),
            methods=tuple(stated["AllowMethods"]),
            headers=tuple(stated["AllowHeaders"]),
            expose=tuple(stated["ExposeHeaders"]),
            max_age=int(stated["MaxAge"]),
        )

    def environment_variables(self, deployment: Deployment) -> dict[str, str]:
        """The variables that every function sees, as Lambda would set them."""
        stated = self.document["Globals"]["Function"]["Environment"]["Variables"]
        return {name: str(value) for name, value in self.resolver(deployment).resolve(stated).items()}

    @property
    def api(self) -> dict[str, Any]:
        """The properties of the HTTP API."""
        bodies = list(self.resources(_API).values())
        if len(bodies) != 1:
            raise TemplateError(f"The template has {len(bodies)} HTTP APIs; exactly one is expected.")
        return dict(bodies[0]["Properties"])

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of one type by logical id, unresolved."""
        return {name: body for name, body in self.document["Resources"].items() if body["Type"] == kind}

    def resolver(self, deployment: Deployment) -> Resolver:
        """Resolves `Ref` to physical names of tables, buckets and queues, and `GetAtt ...Arn` to their ARNs."""
        names, conditions = {**self._defaults(), **deployment.names}, self.document.get("Conditions", {})
        plain = Resolver(names, {}, conditions)
        named = {kind: self._named(kind, attribute, plain) for kind, attribute in _NAMED.items()}
        physical = {logical_id: name for found in named.values() for logical_id, name in found.items()}
        return Resolver({**names, **physical}, _arns(named, deployment), conditions)

    def _defaults(self) -> dict[str, Any]:
        parameters = self.document.get("Parameters", {}).items()
        return {name: stated["Default"] for name, stated in parameters if "Default" in stated}

    def _named(self, kind: str, attribute: str, resolver: Resolver) -> dict[str, str]:
        found = self.resources(kind).items()
        return {name: str(resolver.resolve(body["Properties"][attribute])) for name, body in found}

    def _table(self, logical_id: str, body: dict[str, Any], resolver: Resolver) -> Table:
        properties = resolver.resolve(body["Properties"])
        create = {name: properties[name] for name in _SHAPE if name in properties}
        return Table(logical_id, create, properties.get("TimeToLiveSpecification"))

    def _route(self, function: str, body: dict[str, Any], event: dict[str, Any]) -> Route:
        return Route(
            method=_method(function, event["Method"]),
            path=event["Path"],
            handler=body["Properties"]["Handler"],
            function=function,
            open=event.get("Auth", {}).get("Authorizer") == "NONE",
            timeout=int(body["Properties"].get("Timeout", self.document["Globals"]["Function"]["Timeout"])),
        )


def _arns(named: Mapping[str, Mapping[str, str]], deployment: Deployment) -> dict[tuple[str, str], str]:
    place = f"{deployment.region}:{deployment.account}"
    begins = {_TABLE: f"arn:aws:dynamodb:{place}:table/", _BUCKET: "arn:aws:s3:::", _QUEUE: f"arn:aws:sqs:{place}:"}
    return {
        (logical_id, "Arn"): f"{begins[kind]}{name}"
        for kind, found in named.items()
        for logical_id, name in found.items()
    }


def _http_events(body: dict[str, Any]) -> list[dict[str, Any]]:
    events = body["Properties"].get("Events", {}).values()
    return [event["Properties"] for event in events if event["Type"] == "HttpApi"]


def _method(function: str, stated: str) -> Method:
    for method in get_args(Method):
        if method == stated.upper():
            found: Method = method
            return found
    raise TemplateError(f"{function} has a route with the method {stated!r}, which the laptop stack does not serve.")
