"""The second argument of a Lambda handler."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class LambdaContext:
    """The part of Lambda's context object that does not depend on AWS; the clock runs from its making."""

    function_name: str
    aws_request_id: str
    timeout: int
    memory_limit_in_mb: int = 512
    function_version: str = "$LATEST"
    log_group_name: str = "local"
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None
    _began: float = field(default_factory=time.monotonic, repr=False)

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        left = self.timeout - (time.monotonic() - self._began)
        return max(0, int(left * 1000))
