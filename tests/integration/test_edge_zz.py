from tests.support.edge import running_edge, request, COOKIE
import pytest, uvloop, asyncio
async def test_a():
    async with running_edge() as e:
        c=await e.client()
        a=await c.ask("GET /x")
        assert a.status==200 and a.body==b"GET /x HTTP/1.1", a
        a=await c.ask("POST /y","Content-Length: 3",body=b"abc"); print(a)
        await c.send(request("POST /1","Content-Length: 3",body=b"abc")+request("POST /2","Transfer-Encoding: chunked",body=b"3\r\nabc\r\n0\r\n\r\n")+request("GET /3","Connection: close"))
        for m in ("POST","POST","GET"): print(await c.answer(m))
        assert await c.everything()==b""
        print(e.portal.received.decode())
        a=await (await e.client()).ask("GET /n",cookie=""); print(a)
        a=await (await e.client()).ask("GET /n","Accept: text/html",cookie="Cookie: __Host-authproxy=1.forbidden\r\n"); print(a)
        print(e.observed[-1])
