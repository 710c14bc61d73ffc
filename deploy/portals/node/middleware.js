'use strict';
// For Express and whatever is like it: `app.use(behindGateway(check))`, before everything else. `request.claims` is
// who is asking.
const { Refused } = require('./assertion-check.js');

module.exports = (check) => async (request, response, next) => {
  try {
    request.claims = await check.person(request);
  } catch (error) {
    console.error('refused: ' + (error instanceof Refused ? error.message : error));
    response.statusCode = 403;
    response.end('Forbidden\n');
    return;
  }
  next();
};
