"""The outbox: where text messages and mail of the sandbox arrive instead of at a telephone company."""
