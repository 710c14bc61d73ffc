'use strict';
// Verifies the gateway's assertion. Node 16 and later; no packages.
const crypto = require('crypto');

// Three parts in base64url without padding; the last are 64 bytes, which can be written in one way only.
const TOKEN = /^[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{1,14000}\.[A-Za-z0-9_-]{85}[AQgw]$/;
const LEEWAY = 30;

/** Answer 403. The message says what is wrong, and has nothing of the assertion in it. */
class Refused extends Error {}

class AssertionCheck {
  constructor({ issuer, audience, origin, jwks, bound = false, clock = () => Date.now() / 1000, ...others }) {
    if (!issuer || !audience || !origin || !jwks || typeof bound !== 'boolean' || Object.keys(others).length) throw new Error('issuer, audience, origin, jwks; bound is true or false');
    if (!/^(https:\/\/|http:\/\/127\.0\.0\.1:)/.test(jwks)) throw new Error('the keys must come over TLS, or from this machine');
    Object.assign(this, { issuer, audience, origin, jwks, bound, clock });
    this.keys = new Map();
    this.fetched = this.asked = -Infinity;
  }

  /** The claims about whoever is asking; `request` is Node's own. Throws Refused. */
  person(request) {
    const fields = request.rawHeaders.filter((_, i, all) => i % 2 === 1 && all[i - 1].toLowerCase() === 'x-auth-assertion');
    return this.check(fields, request.method, request.originalUrl || request.url); // Express shortens `url` in routers
  }

  async check(fields, method, path) {
    if (fields.length !== 1 || !TOKEN.test(fields[0])) throw new Refused('there is not one assertion');
    const [head, body, end] = fields[0].split('.');
    const header = decoded(head);
    if (header.alg !== 'ES256' || (header.typ !== undefined && header.typ !== 'JWT') || 'crit' in header) throw new Refused('another kind of token');
    const key = typeof header.kid === 'string' ? await this.key(header.kid) : undefined;
    if (key === undefined) throw new Refused('a key that the gateway does not publish');
    const signature = Buffer.from(end, 'base64url');
    if (!crypto.verify('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' }, signature)) throw new Refused('not signed by the gateway');
    const claims = decoded(body);
    const now = this.clock();
    if (claims.iss !== this.issuer || claims.aud !== this.audience) throw new Refused('from another gateway, or for another portal');
    if (!Number.isSafeInteger(claims.exp) || now >= claims.exp + LEEWAY) throw new Refused('too old');
    for (const from of 'nbf' in claims ? [claims.iat, claims.nbf] : [claims.iat]) {
      if (!Number.isSafeInteger(from) || now < from - LEEWAY) throw new Refused('from the future');
    }
    if (this.bound || 'htm' in claims || 'htu' in claims) {
      if (claims.htm !== method || claims.htu !== this.origin + path.split('?')[0]) throw new Refused('for another request');
    }
    if (typeof claims.sub !== 'string' || claims.sub === '') throw new Refused('about nobody');
    return claims;
  }

  /** Keys are asked for again after five minutes, and at once for one that is not known, but at most once a minute.
   *  If the gateway cannot be asked, the last ones serve for an hour. */
  async key(kid) {
    const now = this.clock();
    const fresh = this.keys.has(kid) && now >= this.fetched && now - this.fetched <= 300;
    if (!fresh && !(now >= this.asked && now - this.asked < 60)) {
      this.asked = now;
      this.asking = fetchKeys(this.jwks).then((keys) => Object.assign(this, { keys, fetched: now }), () => {}); // log this
    }
    if (!fresh) await this.asking;
    return now - this.fetched <= 3600 ? this.keys.get(kid) : undefined;
  }
}

/** Only keys for ES256 count; a set without one is refused, and so is an address elsewhere (a redirect). */
function fetchKeys(address) {
  return new Promise((resolve, reject) => {
    const request = require(address.startsWith('https:') ? 'https' : 'http').get(address, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('error', reject);
      answer.on('data', (part) => (text += part).length > 65536 && request.destroy(new Error('too long')));
      answer.on('end', () => {
        try {
          const keys = JSON.parse(answer.statusCode === 200 ? text : '').keys
            .filter((key) => key.kid && key.kty === 'EC' && key.crv === 'P-256' && key.alg === 'ES256' && key.use === 'sig')
            .map((key) => [key.kid, crypto.createPublicKey({ key, format: 'jwk' })]);
          if (keys.length === 0) throw new Error('no key for ES256');
          resolve(new Map(keys));
        } catch (error) { reject(error); }
      });
    });
    request.setTimeout(5000, () => request.destroy(new Error('too slow')));
    request.on('error', reject);
  });
}

function decoded(part) {
  let members;
  try { members = JSON.parse(Buffer.from(part, 'base64url').toString('utf8')); } catch { /* refused below */ }
  if (typeof members !== 'object' || members === null || Array.isArray(members)) throw new Refused('not a token');
  return members;
}

module.exports = { AssertionCheck, Refused };
