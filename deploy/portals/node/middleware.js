'use strict';
// For Express and whatever is like it: `app.use(behindGateway(check))`, before everything else. `request.claims` is
// who is asking. WebSockets do not pass it; they need `server.on('upgrade', behindGateway.upgrades(check, accept))`, and
// `accept(request, socket, head)` is called if the gateway has sent the request.
const { Refused } = require('./assertion-check.js');

async function isFromGateway(check, request) {
  try {
    request.claims = await check.person(request);
    return true;
  } catch (error) {
    console.error('refused: ' + (error instanceof Refused ? error.message : error));
    return false;
  }
}

module.exports = (check) => async (request, response, next) => {
  if (await isFromGateway(check, request)) return next();
  response.statusCode = 403;
  response.end('Forbidden\n');
};

module.exports.upgrades = (check, accept) => async (request, socket, head) => {
  socket.on('error', () => {}); // whoever leaves meanwhile ends nothing else
  if (await isFromGateway(check, request)) return accept(request, socket, head);
  socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
};
