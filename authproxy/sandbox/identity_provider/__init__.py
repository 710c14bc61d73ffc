"""A Rekono-like OpenID provider, with Rekono's two halves: `openid` (the OpenID server) and `front_end` (the
login pages).

They meet only in `callback?token=`: the front end vouches for a person, and the OpenID server continues the
request that it had saved. Only the dashboard, a page of the front end, reads the OpenID server's session. A
third part, `onepass`, is the service for phones.
"""
