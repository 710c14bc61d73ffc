'use strict';
const [kit, issuer, audience, origin, jwks] = process.argv.slice(2);
const { AssertionCheck, Refused } = require(kit);

let now = 0;
const checks = [false, true].map((bound) => new AssertionCheck({ issuer, audience, origin, jwks, bound, clock: () => now }));

(async () => {
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    const [at, bound, method, url, written] = line.split('\t');
    now = Number(at);
    const fields = written === '' ? [] : written.split(',').map((field) => Buffer.from(field.slice(1), 'base64').toString('latin1'));
    const rawHeaders = fields.flatMap((field) => ['x-Auth-assertion', field]);
    try {
      const claims = await checks[bound].person({ rawHeaders: ['Accept', 'x-auth-assertion', ...rawHeaders], method, url });
      console.log(['ok', claims.sub, Buffer.from(claims.name || '').toString('base64')].join('\t'));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      console.log(`no\t${error.message}`);
    }
  }
})();
