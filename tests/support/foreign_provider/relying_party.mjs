// A relying party written by others (panva/openid-client), as a program for tests. It speaks JSON, a line each way:
// first its settings, which it answers with where to send the browser; then where the browser came back, which it answers with what it
// has learned: ID token (signature verified with the published keys), userinfo, what introspection and revocation say, and where to log out.
import { createInterface } from 'node:readline';

import * as openid from 'openid-client';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const read = async () => JSON.parse((await lines.next()).value);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const { issuer, clientId, secret, authentication, redirectUri, afterLogout, scope, maxAge } = await read();
const authenticate = { post: openid.ClientSecretPost, basic: openid.ClientSecretBasic }[authentication](secret);
const options = { execute: [openid.allowInsecureRequests, openid.enableNonRepudiationChecks] };
const config = await openid.discovery(new URL(issuer), clientId, undefined, authenticate, options);

const verifier = openid.randomPKCECodeVerifier();
const state = openid.randomState();
const nonce = openid.randomNonce();
const asked = { redirect_uri: redirectUri, scope, state, nonce, code_challenge_method: 'S256', max_age: String(maxAge) };
asked.code_challenge = await openid.calculatePKCECodeChallenge(verifier);
say({ go: openid.buildAuthorizationUrl(config, asked).href });

const { came } = await read();
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge, idTokenExpected: true };
try {
  const tokens = await openid.authorizationCodeGrant(config, new URL(came), checks);
  const claims = tokens.claims();
  const userinfo = await openid.fetchUserInfo(config, tokens.access_token, claims.sub);
  const { active } = await openid.tokenIntrospection(config, tokens.access_token);
  await openid.tokenRevocation(config, tokens.access_token);
  const afterRevocation = await openid.fetchUserInfo(config, tokens.access_token, claims.sub).then(() => 'good', () => 'refused');
  const end = { id_token_hint: tokens.id_token, post_logout_redirect_uri: afterLogout, state: 'bye' };
  say({ claims, userinfo, active, afterRevocation, logout: openid.buildEndSessionUrl(config, end).href });
} catch (fault) {
  say({ error: fault.error ?? fault.code ?? fault.message });
}
process.exit(0);
