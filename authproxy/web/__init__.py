"""The pages: everything under `/.authproxy/` but the subrequests, and the management listener. HTTP in, HTTP
out, no rules."""
