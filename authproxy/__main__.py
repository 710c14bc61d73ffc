"""`python -m authproxy` is `authproxy`."""

from __future__ import annotations

from authproxy.cli import main

if __name__ == "__main__":
    main()
