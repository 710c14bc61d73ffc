// An OpenID provider written by others (panva/node-oidc-provider) with its own sign-in pages, as a program for tests.
// Settings are one JSON object on standard input: { port, clients, accounts }. With `resource` ({ audience, scope }) it also gives programs
// access tokens for that audience, signed by RFC 9068 (client credentials, RFC 8707). `POST /rotate` replaces the signing key,
// `POST /disable?id=` takes an account away.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, request as ask } from 'node:http';
import { text } from 'node:stream/consumers';

import Provider from 'oidc-provider';

const { port, clients, accounts, features, resource } = JSON.parse(await text(process.stdin));
const issuer = `http://localhost:${port}`;
const requests = [];

function freshKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

// How the provider reaches relying parties. Its own way refuses loopback, where everything is here, and Node cannot resolve `acq.localhost`.
function told(url, { method, headers, body }) {
  const { host, port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const asked = ask({ host: '127.0.0.1', port, path: pathname, method, headers: { ...Object.fromEntries(headers), host } }, (answer) => {
      answer.resume();
      resolve(new Response(null, { status: answer.statusCode }));
    });
    asked.on('error', reject);
    asked.end(body.toString());
  });
}

const forPrograms = resource && {
  clientCredentials: { enabled: true },
  resourceIndicators: {
    enabled: true,
    defaultResource: () => resource.audience,
    getResourceServerInfo: () => ({ ...resource, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'RS256' } } }),
  },
};

function made() {
  return new Provider(issuer, {
    clients,
    jwks: { keys: [freshKey()] },
    cookies: { keys: ['a key that signs cookies for tests'], long: { sameSite: 'none' }, short: { sameSite: 'none' } },
    features: { backchannelLogout: { enabled: true }, ...forPrograms, ...features },
    fetch: told,
    pkce: { required: () => true },
    claims: { openid: ['sub', 'taxnumber', 'loa'], profile: ['name', 'birthdate'], email: ['email', 'email_verified'] },
    findAccount: (_context, id) => (id in accounts ? { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) } : undefined),
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'), // whether it was asked for or not, as some do
    rotateRefreshToken: true,
    ttl: { Session: 3600, Grant: 3600, Interaction: 3600, AccessToken: 600, IdToken: 600 },
  });
}

// Sessions and grants live in the adapter of the module, so that they outlive the replacement.
let handle = made().callback();

createServer((request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/rotate') {
    handle = made().callback();
    response.end();
  } else if (path === '/disable') {
    delete accounts[new URL(request.url, issuer).searchParams.get('id')];
    response.end();
  } else if (path === '/requests') {
    response.end(JSON.stringify(requests));
  } else {
    requests.push({ method: request.method, path, authorization: (request.headers.authorization ?? '').split(' ')[0] });
    handle(request, response);
  }
}).listen(port, '127.0.0.1');
