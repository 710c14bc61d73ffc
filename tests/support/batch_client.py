"""A bank's program that hands in batches every night: a script with nothing but Python's library.

    python batch_client.py URL FILE [TOKEN_URL CLIENT_ID SCOPE]

FILE has the key of the program. With TOKEN_URL it has the secret with which CLIENT_ID gets a token there first.
Prints the status of each answer and what is in it.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path


def asked(url: str, *, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    parts = urllib.parse.urlsplit(url)
    if str(parts.hostname).endswith(".localhost"):
        # This machine (RFC 6761 §6.3), which browsers know and resolvers may not.
        names["Host"] = parts.netloc
        url = parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=names)) as answer:
            return answer.status, " ".join(answer.read().decode().split())
    except urllib.error.HTTPError as refused:
        return refused.code, " ".join(refused.read().decode().split())


def token(url: str, client_id: str, secret: str, scope: str) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
        "scope": scope,
    }
    _, answer = asked(url, body=urllib.parse.urlencode(form).encode())
    return str(json.loads(answer)["access_token"])


def main(url: str, file: str, *provider: str) -> None:
    credential = Path(file).read_text(encoding="utf-8").strip()
    if provider:
        token_url, client_id, scope = provider
        credential = token(token_url, client_id, credential, scope)
    allowed = f"Bearer {credential}"
    batch = json.dumps({"zahtevki": ["izpisek", "stanje"]}).encode()
    print(*asked(url, body=batch, Authorization=allowed, Content_Type="application/json"))
    print(*asked(url, Authorization=allowed))


if __name__ == "__main__":
    main(*sys.argv[1:])
