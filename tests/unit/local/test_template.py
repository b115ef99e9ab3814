"""The template as typed values."""

from pathlib import Path

import pytest

from scripts.local.cloudformation import TemplateError
from scripts.local.template import Deployment, Route, Template

DOCUMENT = """
Parameters: {Environment: {Type: String}, StoreName: {Type: String, Default: ""}}
Conditions: {NamesStore: !Not [!Equals [!Ref StoreName, ""]]}
Globals: {Function: {Timeout: 9, Environment: {Variables: {ENVIRONMENT: !Ref Environment, TABLE: !Ref Things}}}}
Resources:
  Things:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub things-${Environment}
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      BillingMode: PAY_PER_REQUEST
      DeletionProtectionEnabled: true
      TimeToLiveSpecification: {AttributeName: gone_at, Enabled: true}
  Store:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !If [NamesStore, !Ref StoreName, !Sub "store-${Environment}-${AWS::AccountId}"]
  Failures: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "failures-${Environment}"}}
  Read:
    Type: AWS::Serverless::Function
    Properties:
      Handler: things.read.handler
      Events:
        Route: {Type: HttpApi, Properties: {Method: get, Path: "/things/{id}"}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
  Open:
    Type: AWS::Serverless::Function
    Properties:
      Handler: open.handler
      Timeout: 3
      Events: {Route: {Type: HttpApi, Properties: {Method: GET, Path: /open, Auth: {Authorizer: NONE}}}}
"""


@pytest.fixture
def template(tmp_path: Path) -> Template:
    path = tmp_path / "template.yaml"
    path.write_text(DOCUMENT, encoding="utf-8")
    return Template.load(path)


def test_a_table_has_its_shape_and_not_its_protection(template: Template) -> None:
    (table,) = template.tables("dev")
    assert (table.logical_id, table.name) == ("Things", "things-dev")
    assert set(table.create) == {"TableName", "KeySchema", "AttributeDefinitions", "BillingMode"}
    assert table.time_to_live == {"AttributeName": "gone_at", "Enabled": True}


def test_bucket(template: Template) -> None:
    assert template.bucket("dev") == "store-dev-000000000000"
    assert template.bucket("prod", account="123") == "store-prod-123"


def test_routes(template: Template) -> None:
    assert template.routes() == [
        Route("GET", "/things/{id}", "things.read.handler", "Read", open=False, timeout=9),
        Route("GET", "/open", "open.handler", "Open", open=True, timeout=3),
    ]


def test_environment_variables_hold_physical_names(template: Template) -> None:
    assert template.environment_variables(Deployment("dev")) == {"ENVIRONMENT": "dev", "TABLE": "things-dev"}


def test_arns(template: Template) -> None:
    resolver = template.resolver(Deployment("dev", region="eu-west-1", account="123"))
    arns = resolver.resolve([{"Fn::GetAtt": [name, "Arn"]} for name in ("Things", "Store", "Failures")])
    assert arns == [
        "arn:aws:dynamodb:eu-west-1:123:table/things-dev",
        "arn:aws:s3:::store-dev-123",
        "arn:aws:sqs:eu-west-1:123:failures-dev",
    ]


def test_a_parameter_has_its_default_unless_the_deployment_has_another(template: Template) -> None:
    named = Deployment("dev", parameters={"StoreName": "mine"})
    assert template.resolver(Deployment("dev")).resolve({"Ref": "Store"}) == "store-dev-000000000000"
    assert template.resolver(named).resolve({"Ref": "Store"}) == "mine"


def test_the_default_template_is_the_projects() -> None:
    assert Template.load().routes()


def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"nowhere\.yaml"):
        Template.load(tmp_path / "nowhere.yaml")


def test_a_method_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(DOCUMENT.replace("Method: get", "Method: ANY"), encoding="utf-8")
    with pytest.raises(TemplateError, match="Read has a route with the method 'ANY'"):
        Template.load(path).routes()
