"""The stores in Redis: the connection, what travels on it, and one module for each store."""
