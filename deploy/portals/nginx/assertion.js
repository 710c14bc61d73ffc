// Verifies the gateway's assertion in nginx, for portal.example.conf. njs 0.7.9 and later; its `await` must not stand
// within the arguments of a call (a fault before 0.7.11), and there is no `for … of`.
import fs from 'fs';

// Three parts in base64url without padding; the last are 64 bytes, which can be written in one way only.
const TOKEN = /^[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{1,14000}\.[A-Za-z0-9_-]{85}[AQgw]$/;
const LEEWAY = 30;
// What stands before the point of a public key for P-256 (RFC 5480).
const P256 = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** Answers nginx's `auth_request`: 204, and who is asking in variables for the portal's headers, or 403. What is wrong
 *  with the settings is an error, so that nobody comes in. */
async function check(r) {
    const settings = settingsOf(r);
    let claims;
    try {
        claims = await person(r, settings);
    } catch (error) {
        r.error(`refused: ${error.message}`);
        r.return(403);
        return;
    }
    tell(r, claims);
    r.return(204);
}

function settingsOf(r) {
    const settings = {};
    ['issuer', 'audience', 'origin', 'jwks', 'keys', 'bound'].forEach((name) => {
        settings[name] = r.variables[`portal_${name}`];
        if (!settings[name]) throw new Error(`$portal_${name} is missing`);
    });
    if (!/^(https:\/\/|http:\/\/127\.0\.0\.1:)/.test(settings.jwks)) throw new Error('the keys must come over TLS, or from this machine');
    if (settings.bound !== 'yes' && settings.bound !== 'no') throw new Error('$portal_bound must be yes or no');
    return settings;
}

/** The claims about whoever is asking. The message of an error says what is wrong, and has nothing of the assertion in it. */
async function person(r, settings) {
    const fields = r.rawHeadersIn.filter((field) => field[0].toLowerCase() === 'x-auth-assertion');
    demand(fields.length === 1 && TOKEN.test(fields[0][1]), 'there is not one assertion');
    const parts = fields[0][1].split('.');
    const header = decoded(parts[0]);
    demand(header.alg === 'ES256' && (header.typ === undefined || header.typ === 'JWT') && !('crit' in header), 'another kind of token');
    demand(typeof header.kid === 'string', 'without the name of a key');
    const key = await keyOf(r, settings, header.kid);
    demand(key !== undefined, 'a key that the gateway does not publish');
    const signed = await isSigned(key, `${parts[0]}.${parts[1]}`, octets(parts[2]));
    demand(signed, 'not signed by the gateway');
    const claims = decoded(parts[1]);
    const now = Date.now() / 1000;
    demand(claims.iss === settings.issuer && claims.aud === settings.audience, 'from another gateway, or for another portal');
    demand(Number.isSafeInteger(claims.exp) && now < claims.exp + LEEWAY, 'too old');
    ('nbf' in claims ? [claims.iat, claims.nbf] : [claims.iat]).forEach((from) => {
        demand(Number.isSafeInteger(from) && now >= from - LEEWAY, 'from the future');
    });
    if (settings.bound === 'yes' || 'htm' in claims || 'htu' in claims) {
        // Those of the request itself; the question of `auth_request` has others.
        const url = settings.origin + r.variables.request_uri.split('?')[0];
        demand(claims.htm === r.variables.request_method && claims.htu === url, 'for another request');
    }
    demand(typeof claims.sub === 'string' && claims.sub !== '', 'about nobody');
    return claims;
}

async function isSigned(jwk, signed, signature) {
    try {
        const key = await crypto.subtle.importKey('spki', Buffer.concat([P256, octets(jwk.x), octets(jwk.y)]), ECDSA, false, ['verify']);
        const good = await crypto.subtle.verify(ECDSA, key, signature, Buffer.from(signed));
        return good;
    } catch (error) {
        return false; // njs also throws if the numbers of a signature are none
    }
}

/** Keys are asked for again after five minutes, and at once for one that is not known, but at most once a minute. If the
 *  gateway cannot be asked, the last ones serve for an hour. A file keeps them: nginx's workers share nothing else. Whoever
 *  comes while they are asked for waits for the answer. */
async function keyOf(r, settings, kid) {
    const now = Date.now() / 1000;
    let kept = keptIn(settings.keys);
    const age = now - kept.fetched;
    const fresh = named(kept, kid) !== undefined && age >= 0 && age <= 300;
    if (!fresh && (now < kept.asked || now - kept.asked >= 60)) {
        kept.asked = now;
        kept.isAsking = true;
        keep(settings.keys, kept); // before the question, so that other requests do not ask too
        try {
            const keys = await published(settings.jwks);
            kept = { keys: keys, fetched: now, asked: now };
        } catch (error) {
            r.error(`the gateway's keys cannot be had: ${error.message}`);
        }
        kept.isAsking = false;
        keep(settings.keys, kept);
    } else if (!fresh) {
        for (let times = 0; kept.isAsking && times < 100; times++) {
            await new Promise((goOn) => { setTimeout(goOn, 50); });
            kept = keptIn(settings.keys);
        }
    }
    return now - kept.fetched <= 3600 ? named(kept, kid) : undefined;
}

function named(kept, kid) {
    return kept.keys.find((key) => key.kid === kid);
}

/** Only keys for ES256 count; a set without one is refused, and so is an address elsewhere (a redirect). */
async function published(address) {
    const answer = await ngx.fetch(address, { max_response_body_size: 65536 });
    const text = await answer.text();
    const keys = (answer.status === 200 ? JSON.parse(text) : {}).keys
        .filter((key) => key.kid && key.kty === 'EC' && key.crv === 'P-256' && key.alg === 'ES256' && key.use === 'sig');
    demand(keys.length > 0, 'no key for ES256');
    return keys;
}

function keptIn(file) {
    try {
        const kept = JSON.parse(fs.readFileSync(file, 'utf8'));
        if (Array.isArray(kept.keys) && kept.fetched >= 0 && kept.asked >= 0) return kept;
    } catch (error) { /* there is none yet */ }
    return { keys: [], fetched: 0, asked: 0 };
}

function keep(file, kept) {
    const temporary = `${file}.${Math.random()}`;
    fs.writeFileSync(temporary, JSON.stringify(kept));
    fs.renameSync(temporary, file);
}

/** Writes the plain headers anew, as the gateway does: `-` for what is not known, what is not plain ASCII percent-encoded. */
function tell(r, claims) {
    const stated = {
        subject: claims.sub, name: claims.name, email: claims.email, tax_number: claims.tax_number,
        method: claims.method, level: claims.level, roles: (claims.roles || []).join(','),
        step_up: (claims.step_up || []).map((proof) => `${proof.method};at=${new Date(proof.at * 1000).toISOString().slice(0, 19)}Z`).join(', '),
    };
    Object.keys(stated).forEach((name) => {
        const value = stated[name] === undefined || stated[name] === '' ? '-' : encoded(String(stated[name]));
        r.variables[`portal_${name}`] = value;
    });
}

function encoded(value) {
    return value === '-' ? '%2D' : value.replace(/[^\x20-\x24\x26-\x7e]+|^ +| +$/g, encodeURIComponent);
}

function decoded(part) {
    let members;
    try {
        members = JSON.parse(octets(part).toString());
    } catch (error) { /* refused below */ }
    demand(typeof members === 'object' && members !== null && !Array.isArray(members), 'not a token');
    return members;
}

function octets(part) {
    return Buffer.from(part, 'base64url');
}

function demand(holds, otherwise) {
    if (!holds) throw new Error(otherwise);
}

export default { check };
