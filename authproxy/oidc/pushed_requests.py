"""Pushes authorization requests to the provider (RFC 9126). The browser then carries only a reference, so
nobody on the way can read or change the request."""

from __future__ import annotations

import re
from collections.abc import Mapping

import aiohttp

from authproxy.access.decision import Reason
from authproxy.access.unavailable import CannotAsk
from authproxy.oidc.client_credentials import ClientCredentials
from authproxy.oidc.exchange import ProviderQuestion, ask, cannot_ask
from authproxy.oidc.metadata import Metadata
from authproxy.oidc.refused import AnswerInvalid
from authproxy.oidc.relying_party import RelyingParty

_NAME = "pushed authorization request endpoint"
_SIZE_LIMIT = 16 * 1024
_REQUEST_URI = re.compile(r"[\x21-\x7e]{1,2048}", re.ASCII)


class PushedRequests:
    def __init__(
        self, relying_party: RelyingParty, session: aiohttp.ClientSession, credentials: ClientCredentials
    ) -> None:
        self._relying_party = relying_party
        self._session = session
        self._credentials = credentials

    async def parameters(self, metadata: Metadata, requested: Mapping[str, str]) -> Mapping[str, str]:
        """The parameters that the browser carries: those of the request, or a reference if it was pushed.
        Raises CannotAsk if it had to be pushed and could not be. A request that the provider refuses at this
        point is an outage, too, because the person can do nothing about it."""
        if not self._pushes(metadata):
            return requested
        url = metadata.pushed_authorization_request_endpoint
        if url is None:
            raise cannot_ask(
                "the discovery document has no usable pushed_authorization_request_endpoint, and requests "
                "are to be pushed"
            )
        # RFC 9126 §2: every provider must accept the issuer as the audience of an assertion here.
        credentials = self._credentials.for_audience(self._relying_party.issuer)
        question = ProviderQuestion(
            name=_NAME,
            url=url,
            headers=credentials.headers,
            form={**requested, **credentials.form},
            success=201,
            size_limit=_SIZE_LIMIT,
        )
        answer = await ask(self._session, question, time_limit=self._relying_party.timeout)
        if answer.status != 201:
            problem = (
                f"{_NAME}: the provider does not accept the request ({answer.said}); check the settings of "
                "`rekono`"
            )
            raise CannotAsk(Reason.PROVIDER_REFUSED, problem)
        try:
            document = answer.json_object()
        except AnswerInvalid as problem:
            raise cannot_ask(str(problem)) from None
        request_uri, expires_in = document.get("request_uri"), document.get("expires_in")
        if not isinstance(request_uri, str) or not _REQUEST_URI.fullmatch(request_uri):
            raise cannot_ask(f"{_NAME} answered without a request_uri")
        if isinstance(expires_in, bool) or not isinstance(expires_in, int | float) or expires_in <= 0:
            raise cannot_ask(
                f"{_NAME} answered with a request_uri that is over already, or that does not say when it "
                "will be"
            )
        return {"client_id": self._relying_party.client_id, "request_uri": request_uri}

    def _pushes(self, metadata: Metadata) -> bool:
        wish = self._relying_party.pushed_authorization_requests
        return wish == "always" or (wish == "auto" and metadata.demands_pushed_requests)
