"""A Rekono-like OpenID provider, in the two halves that Rekono has: `openid` (the OpenID server) and
`front_end` (the login pages).

They meet only in `callback?token=`: the front end vouches for a person, the OpenID server carries on with the
request it had put by. Only the dashboard, a page of the front end, looks at the OpenID server's session.
Beside them stands `onepass`, what phones speak to.
"""
