"""The outbox: it receives the sandbox's text messages and mail and shows them."""
