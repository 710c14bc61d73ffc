"""Providers that are too large for every run. `make foreign` fetches them and runs what is here; nothing else does."""

from __future__ import annotations

import os

collect_ignore_glob = [] if os.environ.get("AUTHPROXY_FOREIGN") else ["test_*.py"]
