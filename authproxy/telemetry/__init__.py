"""What operators see: log lines, access lines, audit events, metrics. Nothing here knows HTTP, stores or
providers."""
