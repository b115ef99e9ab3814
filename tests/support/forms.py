"""Sending a form as a browser does, to wherever it says (RFC 7578)."""

import http.client
import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

from scripts.deployment.stage import Answer

_TIMEOUT_SECONDS = 30


def send_form(url: str, fields: Mapping[str, str], body: bytes, **headers: str) -> Answer:
    """What the server says to the fields and then the file."""
    boundary = uuid.uuid4().hex
    content = b"".join(_part(boundary, f'name="{name}"', value.encode()) for name, value in fields.items()) + _part(
        boundary, 'name="file"; filename="a"', body
    )
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=_TIMEOUT_SECONDS)
    try:
        sent = {"Content-Type": f"multipart/form-data; boundary={boundary}", **headers}
        connection.request("POST", address.path or "/", body=content + f"--{boundary}--\r\n".encode(), headers=sent)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def _part(boundary: str, name: str, value: bytes) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n"
