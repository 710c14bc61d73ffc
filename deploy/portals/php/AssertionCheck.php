<?php
declare(strict_types=1);

/** Answer 403. The message says what is wrong, and has nothing of the assertion in it. */
final class AssertionRefused extends RuntimeException
{
}

/** Verifies the gateway's assertion. PHP 7.0 and later, with the extensions json and openssl. */
final class AssertionCheck
{
    // Three parts in base64url without padding; the last are 64 bytes, which can be written in one way only.
    const TOKEN = '/\A[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{1,14000}\.[A-Za-z0-9_-]{85}[AQgw]\z/';
    const LEEWAY = 30;
    // What stands before the point of a public key for P-256 (RFC 5480).
    const P256 = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';

    private $settings;
    private $clock;

    /** $settings: issuer, audience, origin, jwks, bound, cache (a file that only the portal's user can write). */
    public function __construct(array $settings, $clock = null)
    {
        foreach (['issuer', 'audience', 'origin', 'jwks', 'cache'] as $name) {
            if (!is_string($settings[$name] ?? null) || $settings[$name] === '') {
                throw new InvalidArgumentException("$name must be set");
            }
        }
        if (!is_bool($settings['bound'] ?? null)) {
            throw new InvalidArgumentException('bound must be true or false');
        }
        if (preg_match('~\A(https://|http://127\.0\.0\.1:)~', $settings['jwks']) !== 1) {
            throw new InvalidArgumentException('the keys must come over TLS, or from this machine');
        }
        $this->settings = $settings;
        $this->clock = $clock ?: 'time';
    }

    /** The claims about whoever is asking. Most web servers join several fields with a comma, which is refused here.
     *  Behind others (nginx before 1.23) PHP sees one of them, and that one is verified. */
    public function person(array $server): stdClass
    {
        $fields = isset($server['HTTP_X_AUTH_ASSERTION']) ? [$server['HTTP_X_AUTH_ASSERTION']] : [];
        return $this->check($fields, $server['REQUEST_METHOD'], $server['REQUEST_URI']);
    }

    public function check(array $fields, string $method, string $path): stdClass
    {
        if (count($fields) !== 1 || preg_match(self::TOKEN, $fields[0]) !== 1) {
            throw new AssertionRefused('there is not one assertion');
        }
        list($head, $body, $end) = explode('.', $fields[0]);
        $header = self::decoded($head);
        if (($header->alg ?? null) !== 'ES256' || ($header->typ ?? 'JWT') !== 'JWT' || property_exists($header, 'crit')) {
            throw new AssertionRefused('another kind of token');
        }
        $key = is_string($header->kid ?? null) ? $this->key($header->kid) : null;
        if ($key === null) {
            throw new AssertionRefused('a key that the gateway does not publish');
        }
        if (openssl_verify("$head.$body", self::der(self::octets($end)), self::pem($key), OPENSSL_ALGO_SHA256) !== 1) {
            throw new AssertionRefused('not signed by the gateway');
        }
        $claims = self::decoded($body);
        $now = ($this->clock)();
        if (($claims->iss ?? null) !== $this->settings['issuer'] || ($claims->aud ?? null) !== $this->settings['audience']) {
            throw new AssertionRefused('from another gateway, or for another portal');
        }
        if (!is_int($claims->exp ?? null) || $now >= $claims->exp + self::LEEWAY) {
            throw new AssertionRefused('too old');
        }
        $from = property_exists($claims, 'nbf') ? $claims->nbf : 0;
        if (!is_int($claims->iat ?? null) || !is_int($from) || $now < max($claims->iat, $from) - self::LEEWAY) {
            throw new AssertionRefused('from the future');
        }
        $said = [$claims->htm ?? null, $claims->htu ?? null];
        if (($this->settings['bound'] || $said !== [null, null])
            && $said !== [$method, $this->settings['origin'] . explode('?', $path, 2)[0]]) {
            throw new AssertionRefused('for another request');
        }
        if (!is_string($claims->sub ?? null) || $claims->sub === '') {
            throw new AssertionRefused('about nobody');
        }
        return $claims;
    }

    /** Keys are asked for again after five minutes, and at once for one that is not known, but at most once a minute.
     *  If the gateway cannot be asked, the last ones serve for an hour. A file keeps them between requests. Whoever comes
     *  while they are asked for waits for the answer. */
    private function key(string $kid)
    {
        $now = ($this->clock)();
        $kept = $this->kept();
        $age = $now - $kept['fetched'];
        if (!isset($kept['keys'][$kid]) || $age < 0 || $age > 300) {
            if ($lock = fopen($this->settings['cache'] . '.lock', 'c')) {
                flock($lock, LOCK_EX);
            }
            $kept = $this->kept();
            if ($now < $kept['asked'] || $now - $kept['asked'] >= 60) {
                $keys = $this->fetch();
                $kept = $keys === [] ? ['asked' => $now] + $kept : ['keys' => $keys, 'fetched' => $now, 'asked' => $now];
                $this->keep($kept);
            }
        }
        return $now - $kept['fetched'] <= 3600 ? ($kept['keys'][$kid] ?? null) : null;
    }

    private function kept(): array
    {
        $kept = json_decode((string) @file_get_contents($this->settings['cache']), true);
        return (is_array($kept) ? $kept : []) + ['keys' => [], 'fetched' => 0, 'asked' => 0];
    }

    private function keep(array $kept)
    {
        $temporary = $this->settings['cache'] . '.' . bin2hex(random_bytes(8));
        file_put_contents($temporary, json_encode($kept));
        rename($temporary, $this->settings['cache']);
    }

    /** Only keys for ES256 count. An address elsewhere (a redirect) is not followed. */
    private function fetch(): array
    {
        $context = stream_context_create(['http' => ['timeout' => 5, 'follow_location' => 0, 'max_redirects' => 1]]);
        $stream = @fopen($this->settings['jwks'], 'r', false, $context);
        // A redirect that is not followed is no failure for PHP, and its body would be taken.
        if (!$stream || preg_match('~\AHTTP/\S+ 200\b~', stream_get_meta_data($stream)['wrapper_data'][0] ?? '') !== 1) {
            return [];
        }
        $published = json_decode((string) stream_get_contents($stream, 65536), true);
        $keys = [];
        foreach (is_array($published['keys'] ?? null) ? $published['keys'] : [] as $key) {
            if (is_string($key['kid'] ?? null) && [$key['kty'] ?? 0, $key['crv'] ?? 0, $key['alg'] ?? 0, $key['use'] ?? 0] === ['EC', 'P-256', 'ES256', 'sig']) {
                $keys[$key['kid']] = ['x' => $key['x'], 'y' => $key['y']];
            }
        }
        return $keys;
    }

    private static function pem(array $key): string
    {
        $point = hex2bin(self::P256) . self::octets($key['x']) . self::octets($key['y']);
        return "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($point), 64, "\n") . "-----END PUBLIC KEY-----\n";
    }

    /** The two numbers of a signature as OpenSSL wants them: a SEQUENCE of two INTEGERs. */
    private static function der(string $signature): string
    {
        $numbers = '';
        foreach (str_split($signature, 32) as $number) {
            $number = ltrim($number, "\0");
            $number = ($number === '' || ord($number[0]) > 127 ? "\0" : '') . $number;
            $numbers .= "\x02" . chr(strlen($number)) . $number;
        }
        return "\x30" . chr(strlen($numbers)) . $numbers;
    }

    private static function decoded(string $part): stdClass
    {
        $members = json_decode(self::octets($part));
        if (!$members instanceof stdClass) {
            throw new AssertionRefused('not a token');
        }
        return $members;
    }

    private static function octets(string $part): string
    {
        return base64_decode(strtr($part, '-_', '+/'));
    }
}
