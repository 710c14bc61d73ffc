// A client of HTTP/2 for the tests: reads one request per line of JSON, and writes its answer as one line of JSON.
"use strict";
const http2 = require("node:http2");
const readline = require("node:readline");

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const asked = JSON.parse(line);
  let isAnswered = false;
  const answer = (said) => {
    if (!isAnswered) process.stdout.write(JSON.stringify({ id: asked.id, ...said }) + "\n");
    isAnswered = true;
  };
  const session = http2.connect(`https://127.0.0.1:${asked.port}`, { ca: asked.authority, servername: asked.server });
  session.on("error", (error) => answer({ error: String(error) }));
  session.on("connect", (_, socket) => {
    const alpn = socket.alpnProtocol;
    const isWhole = asked.body === "" && !asked.trailers;
    const stream = session.request(asked.headers, { waitForTrailers: Boolean(asked.trailers), endStream: isWhole });
    if (asked.trailers) stream.on("wantTrailers", () => stream.sendTrailers(asked.trailers));
    let headers = {};
    const pieces = [];
    stream.on("response", (came) => { headers = came; });
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("error", (error) => { answer({ error: String(error) }); session.close(); });
    stream.on("close", () => {
      const body = Buffer.concat(pieces).toString("base64");
      answer("status" in headers || ":status" in headers ? { alpn, headers, body } : { error: `ended with ${stream.rstCode}` });
      session.close();
    });
    if (!isWhole) stream.end(Buffer.from(asked.body, "base64"));
  });
});
