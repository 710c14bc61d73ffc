"""What operators see: log lines, the access line of every request, audit events, metrics. Knows no HTTP, no
store and no provider."""
