"""For WSGI (Django, Flask, Pyramid): `application = behind_gateway(application, check)`. `REMOTE_USER` is the
subject, `authproxy.claims` has the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from assertion_check import AssertionCheck, Refused

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def behind_gateway(application: Application, check: AssertionCheck) -> Application:
    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # Servers join several fields by a comma, which is refused. Only some of them say how the path came.
        fields = [environ["HTTP_X_AUTH_ASSERTION"]] if "HTTP_X_AUTH_ASSERTION" in environ else []
        decoded = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        again = quote(decoded, safe="/!$&'()*+,;=:@", encoding="latin-1")  # as browsers write it
        path = environ.get("REQUEST_URI") or environ.get("RAW_URI") or again
        try:
            claims = check.person(fields, environ["REQUEST_METHOD"], path)
        except Refused as refused:
            print("refused:", refused, file=environ["wsgi.errors"])
            start_response("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"Forbidden\n"]
        return application(
            environ | {"REMOTE_USER": claims["sub"], "authproxy.claims": claims}, start_response
        )

    return checked
