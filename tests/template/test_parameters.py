"""What a deployment can be told: each parameter's form, and what the stack makes either way."""

import re

import pytest

from handlers.embeddings.catalogues import ADMINS
from scripts.local.cloudformation import Resolver
from scripts.local.template import Deployment, Template
from shared.config import Settings
from tests.template.transformed import stack

TEMPLATE = Template.load()
PARAMETERS = TEMPLATE.document["Parameters"]
RULES = TEMPLATE.document["Rules"]
GIVEN = stack()
MADE = stack(Deployment("dev", "", ()))


def test_what_a_deployment_may_leave_out() -> None:
    defaults = {name: body["Default"] for name, body in PARAMETERS.items() if "Default" in body}
    assert defaults == {
        "UserPoolId": "",
        "UserPoolClientIds": "",
        "TokenUse": "id",
        "LongestTokenLife": "1440",
        "BucketName": "",
        "Architecture": "x86_64",
        "SnapStart": "Off",
        "Release": "",
        "PublicUrl": "",
        "HostedLoginUrl": "",
        "AlarmEmail": "",
        "MonthlyBudget": "0",
        "LimitReads": "0",
        "LimitWrites": "0",
        "LimitSearches": "0",
        "LimitRows": "0",
        "LimitBytes": "0",
    }
    assert set(PARAMETERS) - set(defaults) == {"Environment", "AllowedOrigins"}


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_every_parameter_has_a_form_and_says_what_it_must_be(name: str) -> None:
    stated = PARAMETERS[name]
    assert stated["Description"]
    assert stated["ConstraintDescription"].startswith("must be") or "must look like" in stated["ConstraintDescription"]
    assert ("AllowedPattern" in stated) is not ("AllowedValues" in stated)


def accepts(name: str, value: str) -> bool:
    """As CloudFormation does: a pattern has to match the whole value."""
    stated = PARAMETERS[name]
    if "AllowedValues" in stated:
        return value in stated["AllowedValues"]
    return re.fullmatch(stated["AllowedPattern"], value) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Environment", "prod"),
        ("UserPoolId", ""),
        ("UserPoolId", "eu-central-1_AbCdEf123"),
        ("UserPoolId", "us-gov-west-1_AbCdEf123"),
        ("UserPoolClientIds", ""),
        ("UserPoolClientIds", "1example23456789"),
        ("UserPoolClientIds", "one,two"),
        ("AllowedOrigins", "https://app.example.com"),
        ("AllowedOrigins", "http://localhost:3000"),
        ("AllowedOrigins", "*"),
        ("BucketName", ""),
        ("BucketName", "k9-similarity-dev-000000000000"),
        ("SnapStart", "On"),
        ("SnapStart", "Off"),
        ("Release", ""),
        ("Release", "0.1.0-20261120T101500Z"),
        ("PublicUrl", ""),
        ("PublicUrl", "https://api.example.com"),
        ("PublicUrl", "https://example.com/products/v1"),
        ("HostedLoginUrl", ""),
        ("HostedLoginUrl", "https://k9.auth.us-east-1.amazoncognito.com"),
        ("AlarmEmail", ""),
        ("AlarmEmail", "on-call@example.com"),
        ("MonthlyBudget", "0"),
        ("MonthlyBudget", "250"),
        *(("LimitReads", value) for value in ("0", "0.1", "1", "20", "2.5", "10.0", "999.9")),
        ("LimitWrites", "5"),
        ("LimitSearches", "0.5"),
        ("LimitRows", "0"),
        ("LimitRows", "100000"),
        ("LimitBytes", "999999999999999"),
        ("LongestTokenLife", "5"),
        ("LongestTokenLife", "60"),
        ("LongestTokenLife", "1440"),
    ],
)
def test_accepted(name: str, value: str) -> None:
    assert accepts(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Environment", "production"),
        ("UserPoolId", "AbCdEf123"),
        ("UserPoolId", "us-east-1_"),
        ("UserPoolId", "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf123"),
        ("UserPoolClientIds", "one, two"),
        ("UserPoolClientIds", "one,"),
        ("UserPoolClientIds", ","),
        ("TokenUse", "refresh"),
        ("AllowedOrigins", "https://app.example.com/"),
        ("AllowedOrigins", "app.example.com"),
        ("AllowedOrigins", ""),
        ("BucketName", "Upper"),
        ("BucketName", "with.dots"),
        ("BucketName", "-edge"),
        ("BucketName", "x" * 64),
        ("Architecture", "amd64"),
        ("SnapStart", "on"),
        ("Release", "with space"),
        ("Release", "x" * 65),
        ("PublicUrl", "http://api.example.com"),
        ("PublicUrl", "https://api.example.com/"),
        ("PublicUrl", "https://api.example.com?x"),
        ("PublicUrl", "https://"),
        ("HostedLoginUrl", "k9.auth.us-east-1.amazoncognito.com"),
        ("HostedLoginUrl", "https://login.example.com/"),
        ("HostedLoginUrl", "https://login.example.com; script-src *"),
        ("AlarmEmail", "nobody"),
        ("AlarmEmail", "a@example.com,b@example.com"),
        ("MonthlyBudget", "-1"),
        ("MonthlyBudget", "0.0"),
        ("MonthlyBudget", "010"),
        *(("LimitReads", value) for value in ("", "0.0", "0.05", "1000", "-1", "01", ".5", "5.", "1e2", "1,5")),
        ("LimitRows", "1.5"),
        ("LimitRows", "010"),
        ("LimitBytes", "1000000000000000"),
        ("LimitBytes", "1MB"),
        ("LongestTokenLife", "4"),
        ("LongestTokenLife", "1441"),
        ("LongestTokenLife", "060"),
        ("LongestTokenLife", ""),
    ],
)
def test_refused(name: str, value: str) -> None:
    assert not accepts(name, value)


@pytest.mark.parametrize(
    ("pool", "clients", "login", "refused"),
    [
        ("", "", "", []),
        ("us-east-1_Pool", "one", "", []),
        ("us-east-1_Pool", "one", "https://login", []),
        ("us-east-1_Pool", "", "", ["GivenPool"]),
        ("", "one", "", ["MadePool"]),
        ("", "", "https://login", ["MadeLogin"]),
    ],
)
def test_a_pool_comes_with_its_clients_and_these_and_a_login_with_their_pool(
    pool: str, clients: str, login: str, refused: list[str]
) -> None:
    names = {"UserPoolId": pool, "UserPoolClientIds": clients, "HostedLoginUrl": login}
    broken = []
    for name, rule in RULES.items():
        conditions = {"applies": rule["RuleCondition"], "assertion": rule["Assertions"][0]["Assert"]}
        resolver = Resolver(names, {}, conditions)
        if resolver.holds("applies") and not resolver.holds("assertion"):
            broken.append(name)
    assert broken == refused


def test_a_given_pool_is_used_and_none_is_made() -> None:
    assert not {"UserPool", "UserPoolClient", "AdminsGroup"} & GIVEN.resources.keys()
    assert (GIVEN.outputs["UserPoolId"], GIVEN.outputs["UserPoolClientId"]) == ("us-east-1_Pool", "one")
    for body in GIVEN.of("AWS::Lambda::Function").values():
        variables = body["Properties"]["Environment"]["Variables"]
        assert (variables["COGNITO_USER_POOL_ID"], variables["COGNITO_CLIENT_IDS"]) == ("us-east-1_Pool", "one,two")


def test_a_pool_that_is_made_is_the_one_that_everything_uses() -> None:
    assert (MADE.outputs["UserPoolId"], MADE.outputs["UserPoolClientId"]) == ("UserPool", "UserPoolClient")
    schemes = MADE.properties("HttpApi")["Body"]["components"]["securitySchemes"]
    assert schemes["Cognito"]["x-amazon-apigateway-authorizer"]["jwtConfiguration"] == {
        "issuer": "https://cognito-idp.us-east-1.amazonaws.com/UserPool",
        "audience": ["UserPoolClient"],
    }
    for body in MADE.of("AWS::Lambda::Function").values():
        variables = body["Properties"]["Environment"]["Variables"]
        assert (variables["COGNITO_USER_POOL_ID"], variables["COGNITO_CLIENT_IDS"]) == ("UserPool", "UserPoolClient")


def test_a_pool_that_is_made_outlives_the_stack_and_tells_nobody_who_has_an_account() -> None:
    pool, client = MADE.resources["UserPool"], MADE.resources["UserPoolClient"]
    for body in (pool, client):
        assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert pool["Properties"]["DeletionProtection"] == "ACTIVE"
    assert pool["Properties"]["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert client["Properties"]["PreventUserExistenceErrors"] == "ENABLED"
    assert client["Properties"]["EnableTokenRevocation"] is True


PUBLIC = "https://api.example.com"


def page_variables(deployment: Deployment) -> dict[str, str]:
    variables = stack(deployment).properties("GetPageFunction")["Environment"]["Variables"]
    names = ("PUBLIC_URL", "HOSTED_LOGIN_URL", "HOSTED_LOGIN_CLIENT_ID")
    return {name: variables[name] for name in names}


def test_a_pool_that_is_made_has_a_hosted_login_where_the_address_is_known() -> None:
    deployment = Deployment("dev", "", (), parameters={"PublicUrl": PUBLIC})
    made = stack(deployment)
    assert made.properties("UserPoolDomain") == {"Domain": "k9-dev-000000000000", "UserPoolId": "UserPool"}
    assert "DeletionPolicy" not in made.resources["UserPoolDomain"]
    client = made.properties("UserPoolClient")
    assert (client["CallbackURLs"], client["LogoutURLs"]) == ([f"{PUBLIC}/docs"], [f"{PUBLIC}/docs"])
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["AllowedOAuthScopes"] == ["openid", "email", "profile"]
    assert client["SupportedIdentityProviders"] == ["COGNITO"]
    assert client["GenerateSecret"] is False
    assert page_variables(deployment) == {
        "PUBLIC_URL": PUBLIC,
        "HOSTED_LOGIN_URL": "https://UserPoolDomain.auth.us-east-1.amazoncognito.com",
        "HOSTED_LOGIN_CLIENT_ID": "UserPoolClient",
    }


def test_without_an_address_a_pool_that_is_made_has_none() -> None:
    assert "UserPoolDomain" not in MADE.resources
    client = MADE.properties("UserPoolClient")
    assert client["AllowedOAuthFlowsUserPoolClient"] is False
    assert not {"AllowedOAuthFlows", "AllowedOAuthScopes", "CallbackURLs", "LogoutURLs"} & client.keys()
    assert page_variables(Deployment("dev", "", ()))["HOSTED_LOGIN_URL"] == ""


def test_the_login_of_a_given_pool_is_named_and_signs_in_to_its_first_client() -> None:
    login = "https://k9.auth.us-east-1.amazoncognito.com"
    deployment = Deployment("dev", "us-east-1_Pool", ("one", "two"), parameters={"HostedLoginUrl": login})
    assert "UserPoolDomain" not in stack(deployment).resources
    assert page_variables(deployment) == {
        "PUBLIC_URL": "",
        "HOSTED_LOGIN_URL": login,
        "HOSTED_LOGIN_CLIENT_ID": "one",
    }


def test_tokens_live_an_hour_at_most() -> None:
    client = MADE.properties("UserPoolClient")
    assert client["TokenValidityUnits"] == {"AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "days"}
    assert 5 <= client["AccessTokenValidity"] <= 60
    assert 5 <= client["IdTokenValidity"] <= 60


def test_an_erasure_waits_for_the_tokens_of_the_pool_that_there_is() -> None:
    def waits(deployment: Deployment) -> set[str]:
        functions = stack(deployment).of("AWS::Lambda::Function").values()
        return {body["Properties"]["Environment"]["Variables"]["TOKEN_LIFE_MINUTES"] for body in functions}

    client = MADE.properties("UserPoolClient")
    assert waits(Deployment("dev", "", ())) == {str(max(client["AccessTokenValidity"], client["IdTokenValidity"]))}
    assert waits(Deployment("dev", "us-east-1_Pool", ("one",))) == {"1440"}
    given = Deployment("dev", "us-east-1_Pool", ("one",), parameters={"LongestTokenLife": "30"})
    assert waits(given) == {"30"}


def test_no_password_goes_to_cognito_but_with_aws_credentials_or_srp() -> None:
    flows = set(MADE.properties("UserPoolClient")["ExplicitAuthFlows"])
    assert flows == {"ALLOW_USER_SRP_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}


def test_passwords() -> None:
    policy = MADE.properties("UserPool")["Policies"]["PasswordPolicy"]
    assert policy["MinimumLength"] >= 12
    assert all(policy[f"Require{kind}"] is True for kind in ("Lowercase", "Uppercase", "Numbers", "Symbols"))


def test_the_group_of_admins_is_the_one_that_the_handlers_ask_for() -> None:
    assert MADE.properties("AdminsGroup")["GroupName"] == ADMINS


@pytest.mark.parametrize(
    ("stated", "name"), [("", "k9-similarity-dev-000000000000"), ("my-own-bucket", "my-own-bucket")]
)
def test_the_bucket_has_the_name_that_is_given(stated: str, name: str) -> None:
    made = stack(Deployment("dev", parameters={"BucketName": stated}))
    assert made.properties("SimilarityBucket")["BucketName"] == name
    assert made.outputs["SimilarityBucketName"] == name
    variables = made.properties("GetProfileFunction")["Environment"]["Variables"]
    assert variables["SIMILARITY_BUCKET"] == name


def test_mail_is_sent_only_where_there_is_an_address() -> None:
    assert "AlarmSubscription" not in GIVEN.resources
    made = stack(Deployment("dev", parameters={"AlarmEmail": "on-call@example.com"}))
    assert made.properties("AlarmSubscription") == {
        "TopicArn": "AlarmTopic",
        "Protocol": "email",
        "Endpoint": "on-call@example.com",
    }


def test_there_is_a_budget_only_where_there_is_a_limit() -> None:
    assert "Budget" not in GIVEN.resources
    made = stack(Deployment("dev", parameters={"MonthlyBudget": "250"}))
    budget = made.properties("Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "250", "Unit": "USD"}
    told = [item["Subscribers"] for item in budget["NotificationsWithSubscribers"]]
    assert told == [[{"SubscriptionType": "SNS", "Address": "AlarmTopic"}]] * 2


@pytest.mark.parametrize("name", ["Reads", "Writes", "Searches", "Rows", "Bytes"])
def test_every_function_knows_the_limits(name: str) -> None:
    made = stack(Deployment("dev", parameters={f"Limit{name}": "7"}))
    for body in made.of("AWS::Lambda::Function").values():
        assert body["Properties"]["Environment"]["Variables"][f"LIMIT_{name.upper()}"] == "7"


@pytest.mark.parametrize("value", ["0", "0.1", "1", "2.5", "999.9"])
def test_what_the_template_takes_for_a_rate_the_functions_do(value: str) -> None:
    assert accepts("LimitReads", value)
    limits = Settings({"LIMIT_READS": value}).tenant_limits
    assert limits.quotas == ({} if value == "0" else {"reads": round(float(value) * 10)})


def test_what_a_deployment_is_told_afterwards() -> None:
    assert GIVEN.outputs.keys() >= {"ApiUrl", "UserPoolId", "UserPoolClientId", "DashboardUrl", "WorkerDeadLettersUrl"}
    assert GIVEN.outputs["ApiUrl"] == "https://HttpApi.execute-api.us-east-1.amazonaws.com"
