"""Everything that is remembered between requests: all knowledge of Redis, and its in-process twin.

"Cannot be asked" is the exception CannotAsk; "not found" is a result.
"""
