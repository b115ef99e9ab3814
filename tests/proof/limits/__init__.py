"""Limits of a tenant, held by processes that share nothing but the table; and the flood of one beside another.

Real processes, a DynamoDB of its own, faults on the table of limits alone. Each case is one request that was judged.
"""

import os

from shared.tasks import set_local_worker
from tests.support.engines import dynoxide_engine
from tests.support.environment import function_environment

from ..outcome import Options, Outcome
from . import flood, rates, storage

FAULTS = ("throttled", "not reached", "answer lost", "process ended")


def prove(options: Options) -> Outcome:
    outcome = Outcome.of("requests", FAULTS)
    os.environ.update(function_environment())
    set_local_worker(lambda task: None)  # a recount is made where a case says so
    with dynoxide_engine() as engine:
        rates.prove(options, engine, outcome)
        storage.prove(options, engine, outcome)
        flood.count(engine, outcome)
    if not options.is_quick:
        flood.time(outcome)
    return outcome
