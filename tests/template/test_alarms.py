"""What watches the stack: alarms, where they go, the worker's dead letters, the metrics from logs, the dashboard."""

import json
import re
from typing import Any

import pytest

from scripts.local.folder import PROJECT
from scripts.local.template import Template
from tests.template.transformed import stack

STACK = stack()
ALARMS = {name: body["Properties"] for name, body in STACK.of("AWS::CloudWatch::Alarm").items()}
FILTERS = {name: body["Properties"] for name, body in STACK.of("AWS::Logs::MetricFilter").items()}
DASHBOARD: dict[str, Any] = json.loads(STACK.properties("Dashboard")["DashboardBody"])
RUNBOOK = (PROJECT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")

Metric = tuple[str, str, tuple[tuple[str, str], ...]]


def dimensions(stated: list[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((item["Name"], item["Value"]) for item in stated)


def metrics(alarm: dict[str, Any]) -> set[Metric]:
    """Namespace, name and dimensions of what an alarm reads."""
    if "Metrics" not in alarm:
        return {(alarm["Namespace"], alarm["MetricName"], dimensions(alarm.get("Dimensions", [])))}
    read = [item["MetricStat"]["Metric"] for item in alarm["Metrics"] if "MetricStat" in item]
    return {(item["Namespace"], item["MetricName"], dimensions(item["Dimensions"])) for item in read}


API = (("ApiId", "HttpApi"),)
WORKER = (("FunctionName", "WorkerFunction"),)
CHECK = (("FunctionName", "CheckAvatarFunction"),)


def table_metrics(name: str, index: str | None = None) -> set[Metric]:
    table: tuple[tuple[str, str], ...] = (("TableName", f"k9-{name}-dev"),)
    places = [table, (*table, ("GlobalSecondaryIndexName", index))] if index else [table]
    return {("AWS/DynamoDB", f"{kind}ThrottleEvents", place) for kind in ("Read", "Write") for place in places}


READS: dict[str, set[Metric]] = {
    "ApiErrorsAlarm": {("AWS/ApiGateway", "5xx", API), ("AWS/ApiGateway", "Count", API)},
    "ApiLatencyAlarm": {("AWS/ApiGateway", "Latency", API)},
    "ApiThrottlesAlarm": {("K9/dev", "throttled", ())},
    "AuthFailuresAlarm": {("K9/dev", "unauthenticated", ())},
    "OwnershipRefusalsAlarm": {("K9/dev", "ownership_refusals", ())},
    "CrashesAlarm": {("K9/dev", "crashes", ())},
    "FunctionThrottlesAlarm": {("AWS/Lambda", "Throttles", ())},
    "UsersTableThrottlesAlarm": table_metrics("users"),
    "ReportsTableThrottlesAlarm": table_metrics("reports", "UserReportsIndex"),
    "EmbeddingsTableThrottlesAlarm": table_metrics("embeddings", "ModelVersionIndex"),
    "LimitsTableThrottlesAlarm": table_metrics("limits"),
    "LimitsUnavailableAlarm": {("K9/dev", "limits_unavailable", ())},
    "LateErasuresAlarm": {("K9/dev", "late_erasures", ())},
    "ResumeErrorsAlarm": {("AWS/Lambda", "Errors", (("FunctionName", "ResumeFunction"),))},
    "ResumeSilentAlarm": {("AWS/Lambda", "Invocations", (("FunctionName", "ResumeFunction"),))},
    **{
        name: {
            ("AWS/Lambda", metric, function)
            for metric in ("Errors", "AsyncEventsDropped", "DestinationDeliveryFailures")
        }
        for name, function in (("WorkerErrorsAlarm", WORKER), ("CheckAvatarErrorsAlarm", CHECK))
    },
    "WorkerDeadLettersAlarm": {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", (("QueueName", "WorkerDeadLetters.QueueName"),))
    },
}


def test_what_each_alarm_reads() -> None:
    assert {name: metrics(alarm) for name, alarm in ALARMS.items()} == READS


def test_every_table_and_index_is_watched() -> None:
    watched = {
        name: {metric for alarm in ALARMS.values() for metric in metrics(alarm) if ("TableName", name) in metric[2]}
        for name in (table.name for table in Template.load().tables("dev"))
    }
    for table in Template.load().tables("dev"):
        places = 1 + len(table.create.get("GlobalSecondaryIndexes", []))
        assert len(watched[table.name]) == 2 * places


SILENT = "ResumeSilentAlarm"
"""Silence is what it is about: a schedule that calls nobody leaves no data."""


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_an_alarm_tells_somebody_and_is_silent_without_data(name: str) -> None:
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["AlarmTopic"]
    assert alarm.get("ActionsEnabled", True) is True
    assert alarm["TreatMissingData"] == ("breaching" if name == SILENT else "notBreaching")
    assert alarm["AlarmDescription"]
    assert alarm["AlarmName"].startswith("k9-")
    assert alarm["AlarmName"].endswith("-dev")
    assert alarm["DatapointsToAlarm"] <= alarm["EvaluationPeriods"]
    assert alarm["ComparisonOperator"].startswith("LessThan" if name == SILENT else "GreaterThan")


@pytest.mark.parametrize("name", sorted(name for name, alarm in ALARMS.items() if "Metrics" in alarm))
def test_an_alarms_mathematics_is_what_cloudwatch_takes(name: str) -> None:
    """An alarm reads ten metrics at most, searches none, returns one value, and its expression names what is there."""
    stated = ALARMS[name]["Metrics"]
    read = {item["Id"]: item for item in stated if "MetricStat" in item}
    ((result,),) = [[item for item in stated if "Expression" in item]]
    assert len(read) <= 10
    assert all(item["ReturnData"] is False for item in read.values())
    assert "ReturnData" not in result
    assert set(re.findall(r"\b[a-z_]+\b", result["Expression"])) == set(read)
    assert set(re.findall(r"\b[A-Z]+\b", result["Expression"])) <= {"IF", "FILL"}


def test_latency_is_the_slowest_of_a_hundred() -> None:
    assert ALARMS["ApiLatencyAlarm"]["ExtendedStatistic"] == "p99"


def test_every_alarm_is_in_the_runbook() -> None:
    missing = [name for name in ALARMS if f"`{name.removesuffix('Alarm')}`" not in RUNBOOK]
    assert missing == []


def test_the_topic_is_encrypted_with_a_key_that_those_who_publish_may_use() -> None:
    assert STACK.properties("AlarmTopic")["KmsMasterKeyId"] == "AlarmKey"
    key = STACK.properties("AlarmKey")
    assert key["EnableKeyRotation"] is True
    publishers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    same_account = {"StringEquals": {"aws:SourceAccount": "000000000000"}}
    _, use = key["KeyPolicy"]["Statement"]
    assert (use["Principal"], use["Condition"]) == ({"Service": publishers}, same_account)
    assert set(use["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}
    publish, refuse = STACK.properties("AlarmTopicPolicy")["PolicyDocument"]["Statement"]
    assert (publish["Principal"], publish["Condition"]) == ({"Service": publishers}, same_account)
    assert (refuse["Effect"], refuse["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_what_the_worker_gives_up_is_kept_for_a_fortnight() -> None:
    queue = STACK.properties("WorkerDeadLetters")
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    asked = [body["Properties"] for body in STACK.of("AWS::Lambda::EventInvokeConfig").values()]
    assert {settings["FunctionName"] for settings in asked} == {"WorkerFunction", "CheckAvatarFunction"}
    for settings in asked:
        assert settings["Qualifier"] == "live"  # the settings of the alias, which is what is invoked
        assert settings["DestinationConfig"]["OnFailure"]["Destination"].endswith(queue["QueueName"])
    (statement,) = STACK.properties("WorkerDeadLettersPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_metrics_from_logs() -> None:
    found = {
        item["MetricName"]: (filter_["LogGroupName"], filter_["FilterPattern"], item["MetricNamespace"])
        for filter_ in FILTERS.values()
        for item in filter_["MetricTransformations"]
    }
    assert found == {
        "unauthenticated": ("ApiAccessLogs", '{ $.status = "401" }', "K9/dev"),
        "throttled": ("ApiAccessLogs", '{ $.status = "429" }', "K9/dev"),
        "late_erasures": ("FunctionLogs", "{ $.late_erasures > 0 }", "K9/dev"),
        "limits_unavailable": ("FunctionLogs", "{ $.limits_unavailable > 0 }", "K9/dev"),
        "ownership_refusals": ("FunctionLogs", "{ $.ownership_refusals > 0 }", "K9/dev"),
        "crashes": (
            "FunctionLogs",
            '?"Task timed out" ?"Runtime.ExitError" ?"Runtime.ImportModuleError" ?"Runtime.OutOfMemory"',
            "K9/dev",
        ),
    }


def test_the_access_log_has_the_status_as_the_filters_read_it() -> None:
    line = STACK.properties("HttpApiApiGatewayDefaultStage")["AccessLogSettings"]["Format"]
    assert json.loads(line)["status"] == "$context.status"  # in quotes, hence a string


def widgets(kind: str) -> list[dict[str, Any]]:
    return [widget["properties"] for widget in DASHBOARD["widgets"] if widget["type"] == kind]


def test_the_dashboard_begins_with_every_alarm() -> None:
    assert DASHBOARD["widgets"][0]["type"] == "alarm"
    (shown,) = widgets("alarm")
    assert set(shown["alarms"]) == {f"{name}.Arn" for name in ALARMS}


def test_the_dashboard_shows_what_the_alarms_read() -> None:
    drawn = {
        (line[0], line[1], tuple(zip(line[2::2], line[3::2], strict=False)))
        for widget in widgets("metric")
        for line in ([part for part in each if not isinstance(part, dict)] for each in widget["metrics"])
        if line
    }
    hidden = {metric for alarm in ALARMS.values() for metric in metrics(alarm)} - drawn
    assert {name for _, name, _ in hidden} == {"AsyncEventsDropped", "DestinationDeliveryFailures"}


def test_the_dashboards_widgets_do_not_overlap() -> None:
    taken = [
        (x, y)
        for item in DASHBOARD["widgets"]
        for x in range(item["x"], item["x"] + item["width"])
        for y in range(item["y"], item["y"] + item["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_the_dashboard_shows_the_last_faults_and_no_more_than_the_logs_do() -> None:
    (shown,) = widgets("log")
    assert shown["query"].startswith("SOURCE 'FunctionLogs' | filter status >= 500")
