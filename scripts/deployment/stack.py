"""The CloudFormation stack of an environment: what it is, and whether it can be deployed to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from scripts.deployment.account import Account
from scripts.deployment.failure import DeploymentError, error_code

_UNDER_REVIEW = "REVIEW_IN_PROGRESS"
_NEVER_MADE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


def stack_name(environment: str) -> str:
    return f"k9-api-{environment}"


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that is there, as CloudFormation describes it."""

    name: str
    stack_id: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def is_made(self) -> bool:
        """False for one that has nothing but a change set so far."""
        return self.status != _UNDER_REVIEW

    @property
    def is_busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.is_made


def find_stack(account: Account, name: str) -> Stack | None:
    try:
        found = account.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as exc:
        if error_code(exc) == "ValidationError":
            return None
        raise
    return _read(found)


def ensure_deployable(stack: Stack, environment: str, account: Account) -> None:
    """Raises DeploymentError for a stack that CloudFormation would not update."""
    ensure_idle(stack)
    if stack.status in _NEVER_MADE:
        raise DeploymentError(
            f"The stack {stack.name} is {stack.status}: CloudFormation takes no update of it. What went wrong is in\n"
            f"  aws cloudformation describe-stack-events --stack-name {stack.name} {' '.join(account.options)}\n"
            f"Once cured, ./scripts/destroy.sh --environment {environment} removes the stack; deploy again then."
        )
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        raise DeploymentError(
            f"The stack {stack.name} is UPDATE_ROLLBACK_FAILED: cure what its events tell, then\n"
            f"  aws cloudformation continue-update-rollback --stack-name {stack.name} {' '.join(account.options)}\n"
            "and deploy again when that is done."
        )


def ensure_idle(stack: Stack) -> None:
    if stack.is_busy:
        raise DeploymentError(
            f"The stack {stack.name} is {stack.status}: somebody is changing it. Wait for the end, then start again."
        )


def resources(account: Account, stack_id: str) -> list[Mapping[str, Any]]:
    pages = account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_id)
    return [resource for page in pages for resource in page["StackResourceSummaries"]]


def _read(found: Mapping[str, Any]) -> Stack:
    return Stack(
        found["StackName"],
        found["StackId"],
        found["StackStatus"],
        {item["ParameterKey"]: item.get("ParameterValue", "") for item in found.get("Parameters", [])},
        {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])},
    )
