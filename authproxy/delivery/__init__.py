"""Whatever leaves for a phone: text messages by gateways of telephone companies, notifications by a push
service."""
