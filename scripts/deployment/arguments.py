"""The values of the commands' options, each checked as it is read."""

import argparse
import ipaddress
import re
from typing import NoReturn

ENVIRONMENTS = ("dev", "staging", "prod")

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")
_POOL = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]+_[0-9A-Za-z]+")
_CLIENT = re.compile(r"[0-9A-Za-z_+]{1,128}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_BUCKET_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3", "-an")
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
_ADDRESS = re.compile(r"https://[0-9A-Za-z.-]+(/[0-9A-Za-z._~-]+)*")
_LOGIN = re.compile(r"https://[0-9A-Za-z.-]+")
_MINUTES = re.compile(r"[1-9][0-9]{0,3}")
_SHORTEST_TOKEN_LIFE, _LONGEST_TOKEN_LIFE = 5, 1440
_RATE = re.compile(r"0|[1-9][0-9]{0,2}(\.[0-9])?|0\.[1-9]")
_AMOUNT = re.compile(r"0|[1-9][0-9]{0,14}")
_DOLLARS = re.compile(r"0|[1-9][0-9]{0,6}")
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")


class Parser(argparse.ArgumentParser):
    """Says how to go on after a wrong option. Takes no abbreviations: new options would change what they mean."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog.rsplit('/', 1)[-1]}: {message}\n{self.prog} --help lists the options.\n")

    def add_account(self) -> None:
        """The options that say which environment of which account is meant."""
        self.add_argument("--environment", required=True, choices=ENVIRONMENTS, help="the environment")
        self.add_argument("--region", type=region, help="the AWS region, unless the profile or AWS_REGION has it")
        self.add_argument("--profile", help="the AWS profile with the credentials")


def region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an AWS region; one looks like us-east-1")
    return text


def user_pool_id(text: str) -> str:
    if not _POOL.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the id of a user pool; one looks like us-east-1_AbCdEf123")
    return text


def client_id(text: str) -> str:
    if not _CLIENT.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the id of an app client; repeat the option for more than one"
        )
    return text


def bucket_name(text: str) -> str:
    """S3's rules for general purpose buckets, and no dots: with them the name does not fit S3's certificate."""
    if not _BUCKET.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a bucket name: 3 to 63 lower-case letters, digits and hyphens, the first and the last "
            "no hyphen"
        )
    if text.startswith(_BUCKET_PREFIXES) or text.endswith(_BUCKET_SUFFIXES):
        raise argparse.ArgumentTypeError(f"{text!r} begins or ends with what S3 keeps for itself: choose another name")
    return text


def origin(text: str) -> str:
    """`*`, or what a browser sends as Origin: scheme, host, port, all in lower case, and nothing behind."""
    if text == "*":
        return text
    found = _ORIGIN.fullmatch(text)
    if not found or int((found[3] or ":0")[1:]) > 65535:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an origin; one looks like https://app.example.com, in lower case, without a path or a "
            "slash at the end; repeat the option for more"
        )
    if found[1] == "http" and not _is_this_machine(found[2]):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not encrypted, so that anybody on the way could read the tokens: use https:// "
            "(http:// is for localhost)"
        )
    return text


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def address(text: str) -> str:
    """One to which a path can be added."""
    if not _ADDRESS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an address; one looks like https://api.example.com, without a slash at the end"
        )
    return text


def login(text: str) -> str:
    """A host alone: the login's paths are Cognito's."""
    if not _LOGIN.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a login's address; one looks like https://example.auth.us-east-1.amazoncognito.com"
        )
    return text


def email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an e-mail address")
    return text


def token_life(text: str) -> str:
    if not _MINUTES.fullmatch(text) or not _SHORTEST_TOKEN_LIFE <= int(text) <= _LONGEST_TOKEN_LIFE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of minutes, 5 to 1440, as Cognito has them")
    return text


def budget(text: str) -> str:
    if not _DOLLARS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of US dollars (0: no budget)")
    return text


def rate(text: str) -> str:
    if not _RATE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a rate: requests a second with at most one decimal, from 0.1 to 999.9 (0: no limit)"
        )
    return text


def amount(text: str) -> str:
    if not _AMOUNT.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at most 15 digits (0: no limit)")
    return text
