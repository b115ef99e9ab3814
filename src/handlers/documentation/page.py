"""The documentation page as HTML: which files it loads, how one signs in, and what a browser lets it do."""

import json
from string import Template
from typing import Any

from shared.config import Settings

from .assets import OWN, assets

_TEMPLATE = "page.html"
_PLACES = {
    "swagger_css": "swagger-ui.css",
    "swagger_js": "swagger-ui-bundle.js",
    "swagger_licence": "swagger-ui-licence.txt",
    "page_css": "page.css",
    "sign_in_js": "sign-in.js",
    "page_js": "page.js",
}
_NO_FEATURES = ("camera", "display-capture", "geolocation", "microphone", "payment", "usb")


def html(settings: Settings) -> bytes:
    """The page. Raises ConfigurationError for settings of a sign-in that cannot be."""
    known = assets()
    names = {place: f"docs/{known[title].name}" for place, title in _PLACES.items()}
    text = Template((OWN / _TEMPLATE).read_text(encoding="utf-8"))
    return text.substitute(names, sign_in=_as_data(sign_in(settings))).encode()


def sign_in(settings: Settings) -> dict[str, Any]:
    """How a person gets a token on the page: `kind` is local, hosted or none."""
    if settings.local_sign_in:
        return {"kind": "local", "names": list(settings.local_sign_in)}
    if settings.hosted_login_url is None:
        return {"kind": "none"}
    public = settings.public_url
    return {
        "kind": "hosted",
        "url": settings.hosted_login_url,
        "client_id": settings.hosted_login_client_id,
        # Where the login sends people back to, letter for letter as the app client has it; the page's own otherwise.
        "page": f"{public}/docs" if public else None,
        "token": f"{settings.token_use}_token",
    }


def headers(settings: Settings) -> dict[str, str]:
    """What the browser is held to: no code, style or request but those of this API, and of its login."""
    login = f" {settings.hosted_login_url}" if settings.hosted_login_url else ""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": f"'self'{login}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _NO_FEATURES),
        # The address may hold the code of a sign-in.
        "Referrer-Policy": "no-referrer",
    }


def _as_data(value: dict[str, Any]) -> str:
    """JSON for a script element, which `<` alone could end or turn into markup (HTML, section 4.12.1.3)."""
    return json.dumps(value).replace("<", "\\u003c")
