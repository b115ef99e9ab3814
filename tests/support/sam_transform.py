"""SAM's own transform as a program: a template and parameters as JSON in, plain CloudFormation as JSON out.

It runs in the environment of requirements/template.txt, since aws-sam-translator pins another pydantic.
"""

import json
import sys

import boto3
from samtranslator.parser.parser import Parser  # type: ignore[import-not-found]
from samtranslator.translator.translator import Translator  # type: ignore[import-not-found]


def main() -> None:
    request = json.load(sys.stdin)
    session = boto3.session.Session(region_name="us-east-1")
    made = Translator({}, Parser(), boto_session=session).translate(request["template"], request["parameters"])
    json.dump(made, sys.stdout)


if __name__ == "__main__":
    main()
