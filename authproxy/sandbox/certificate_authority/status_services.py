"""The addresses for revocation checks: CRLs in DER and in PEM, and OCSP by GET and by POST (RFC 6960 §A)."""

from __future__ import annotations

import base64
import binascii
from typing import cast

from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from authproxy.sandbox.certificate_authority.authority import PARTITIONS, Authority, Of
from authproxy.sandbox.certificate_authority.crl import Kind
from authproxy.sandbox.certificate_authority.downloads import PEM_TYPE
from authproxy.sandbox.certificate_authority.faults import StatusFaults, on_the_way

_CRL_TYPE, _OCSP_TYPE = "application/pkix-crl", "application/ocsp-response"


class StatusServices:
    """Answers correctly, or with the fault that is switched on."""

    def __init__(self, authority: Authority, faults: StatusFaults) -> None:
        self._authority = authority
        self._faults = faults

    def route(self, router: web.UrlDispatcher) -> None:
        router.add_get(r"/ca/{of:(root-)?}crl.{form:pem|der}", self.whole_list)
        router.add_get(r"/crl/{of:root|sub}-{partition:\d}{delta:(-delta)?}.{form:pem|crl}", self.partition)
        router.add_get("/ocsp/{question:.+}", self.ocsp_by_get)
        router.add_post("/ocsp", self.ocsp_by_post)

    async def whole_list(self, request: web.Request) -> web.StreamResponse:
        return await self._list(request, "root" if request.match_info["of"] else "sub", None)

    async def partition(self, request: web.Request) -> web.StreamResponse:
        of, partition = cast("Of", request.match_info["of"]), int(request.match_info["partition"])
        if partition not in PARTITIONS[of]:
            raise web.HTTPNotFound
        return await self._list(
            request, of, partition, kind="delta" if request.match_info["delta"] else "complete"
        )

    async def ocsp_by_post(self, request: web.Request) -> web.StreamResponse:
        return await self._ocsp(request, await request.read())

    async def ocsp_by_get(self, request: web.Request) -> web.StreamResponse:
        try:
            question = base64.b64decode(request.match_info["question"], validate=True)
        except (binascii.Error, ValueError):
            question = b""  # an empty question is answered `malformed`
        return await self._ocsp(request, question)

    async def _list(
        self, request: web.Request, of: Of, partition: int | None, *, kind: Kind = "complete"
    ) -> web.StreamResponse:
        form = request.match_info["form"]
        media_type = PEM_TYPE if form == "pem" else _CRL_TYPE
        how = await self._faults.met("crl", request)
        failed = await on_the_way(how, request, media_type)
        if failed is not None:
            return failed
        crl = self._authority.crl(of, partition, how, kind=kind)
        return web.Response(
            body=crl.public_bytes(Encoding.PEM if form == "pem" else Encoding.DER), content_type=media_type
        )

    async def _ocsp(self, request: web.Request, question: bytes) -> web.StreamResponse:
        how = await self._faults.met("ocsp", request)
        failed = await on_the_way(how, request, _OCSP_TYPE)
        if failed is not None:
            return failed
        return web.Response(body=self._authority.ocsp(question, how), content_type=_OCSP_TYPE)
