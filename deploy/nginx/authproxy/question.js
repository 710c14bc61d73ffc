// The proof that it is this nginx that asks, for signed.conf. deploy/README.md, "Questions over a network", says what it covers.
import crypto from 'crypto';
import fs from 'fs';

// The key of `server.subrequest_key_file`: 64 hexadecimal digits. nginx's workers must be able to read it, and nobody else.
const KEY_FILE = '/etc/nginx/authproxy-question.key';

function key() {
    const digits = fs.readFileSync(KEY_FILE, 'utf8').trim();
    if (!/^[0-9a-fA-F]{64}$/.test(digits)) {
        throw new Error('not 64 hexadecimal digits');
    }
    return Buffer.from(digits, 'hex');
}

function proof(r) {
    const time = Math.floor(Date.now() / 1000).toString();
    // Raw octets, because a target or a cookie need not be text.
    const said = (name) => r.rawVariables[name] || '';
    try {
        const hmac = crypto.createHmac('sha256', key());
        hmac.update(`${time}\nnginx\n`);
        ['request_method', 'scheme', 'authproxy_authority', 'request_uri', 'remote_addr'].forEach((name) => {
            hmac.update(said(name));
            hmac.update('\n');
        });
        hmac.update(said('http_cookie'));
        return `t=${time};h=${hmac.digest('hex')}`;
    } catch (error) {
        r.error(`no proof for authproxy by ${KEY_FILE}: ${error.message}`);
        // The gateway refuses every question with a proof that it cannot read.
        return 'none';
    }
}

export default { proof };
