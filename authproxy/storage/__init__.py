"""Everything that is remembered between requests, in Redis or in the memory of one process.

Not found is a result. If the store cannot be asked, CannotAsk is raised.
"""
