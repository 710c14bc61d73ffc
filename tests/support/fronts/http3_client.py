"""A client of HTTP/3: Envoy, which gets a request as HTTP/1.1 and asks the front proxy over QUIC."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.fronts.front import running_at
from tests.support.http_client import exchange
from tests.support.ports import free_port

_ENVOY = str(Path(sysconfig.get_path("scripts")) / "envoy")
"""From a wheel of the development requirements."""
_TYPE = "type.googleapis.com/envoy.extensions."
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Http3Client:
    """`ports` are those at which it takes requests, by the port of the front proxy that it asks then."""

    ports: Mapping[int, int]

    async def ask(
        self, method: str, host: str, target: str, fields: Sequence[tuple[str, str]] = (), *, port: int
    ) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """Status, headers and body. Without a connection over QUIC it is 503 and a text of Envoy."""
        url = f"http://127.0.0.1:{self.ports[port]}{target}"
        async with asyncio.timeout(_PATIENCE):
            return await exchange(method, url, [("Host", host), ("Connection", "close"), *fields])


@contextlib.contextmanager
def http3_client(servers: Mapping[int, str], authority: Path, folder: Path) -> Iterator[Http3Client]:
    """`servers` are the names of the front proxies' certificates by their ports; `authority` has issued
    them."""
    ports = {port: free_port() for port in servers}
    configured = {
        "static_resources": {
            "listeners": [_listener(ports[port], port) for port in servers],
            "clusters": [_cluster(port, name, authority) for port, name in servers.items()],
        }
    }
    (folder / "envoy.json").write_text(json.dumps(configured))
    command = [
        _ENVOY,
        "-c",
        "envoy.json",
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "warning",
    ]
    with running_at(command, folder, next(iter(ports.values()))):
        yield Http3Client(ports=ports)


def _listener(port: int, front: int) -> Mapping[str, Any]:
    router = {"@type": f"{_TYPE}filters.http.router.v3.Router", "suppress_envoy_headers": True}
    manager = {
        "@type": f"{_TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": str(front),
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "http_filters": [{"name": "router", "typed_config": router}],
        "route_config": {
            "request_headers_to_remove": ["x-forwarded-proto", "x-request-id"],
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": str(front)}}],
                }
            ],
        },
    }
    return {
        "name": str(port),
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def _cluster(port: int, name: str, authority: Path) -> Mapping[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    tls = {
        "sni": name,
        "common_tls_context": {"validation_context": {"trusted_ca": {"filename": str(authority)}}},
    }
    quic = {
        "@type": f"{_TYPE}transport_sockets.quic.v3.QuicUpstreamTransport",
        "upstream_tls_context": tls,
    }
    return {
        "name": str(port),
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": str(port),
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "transport_socket": {"name": "envoy.transport_sockets.quic", "typed_config": quic},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPE}upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http3_protocol_options": {}},
            }
        },
    }
