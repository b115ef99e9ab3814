"""What strangers' bytes reach, fuzzed by coverage: nothing is raised but what is documented, and what is read is right.

A stranger here is a client, whoever stands between this service and its keys, and whatever damages objects in S3. Each
reader is a `Target`: it is given inputs that the engine (atheris: libFuzzer over the coverage of Python's bytecode)
makes of those that reached new code, and its answer is held to a second reading of the rules that is written here.
`targets` lists them, `broken` the readers that are broken on purpose and must be caught, `corpus/` has the inputs that
found something.
"""

from ..outcome import Options, Outcome


def prove(options: Options) -> Outcome:
    from .campaign import fuzz  # the engine is in an environment of its own

    return fuzz(options)
