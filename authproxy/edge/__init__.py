"""The data plane: reads request heads, asks for a decision, and streams to and from portals; answers
subrequests of front proxies.

It knows no pages, providers or people: a decision brings the finished identity headers. Bodies are streamed,
except small forms that wait for a proof.
"""
