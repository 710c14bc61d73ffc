import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.math.BigInteger;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Pattern;

/** Verifies the gateway's assertion. Java 8 and later, without libraries; threads may share one object. */
public class AssertionCheck {
    /** Answer 403. The message says what is wrong, and has nothing of the assertion in it. */
    public static final class Refused extends Exception {
        public Refused(String what) {
            super(what);
        }
    }

    // Three parts in base64url without padding; the last are 64 bytes, which can be written in one way only.
    private static final Pattern TOKEN =
            Pattern.compile("[A-Za-z0-9_-]{1,2000}\\.[A-Za-z0-9_-]{1,14000}\\.[A-Za-z0-9_-]{85}[AQgw]");
    private static final long LEEWAY = 30;

    private final String issuer;
    private final String audience;
    private final String origin;
    private final String jwks;
    private final boolean bound;
    private Map<String, PublicKey> keys = Collections.emptyMap();
    private long fetched = -3601;
    private long asked = -3601;

    public AssertionCheck(String issuer, String audience, String origin, String jwks, boolean bound) {
        for (String setting : Arrays.asList(issuer, audience, origin, jwks)) {
            if (setting == null || setting.isEmpty()) {
                throw new IllegalArgumentException("issuer, audience, origin and jwks must be set");
            }
        }
        if (!jwks.startsWith("https://") && !jwks.startsWith("http://127.0.0.1:")) {
            throw new IllegalArgumentException("the keys must come over TLS, or from this machine");
        }
        this.issuer = issuer;
        this.audience = audience;
        this.origin = origin;
        this.jwks = jwks;
        this.bound = bound;
    }

    /** Seconds since 1970. */
    protected long now() {
        return System.currentTimeMillis() / 1000;
    }

    /** The claims about whoever is asking. `fields` are all fields X-Auth-Assertion of the request, `path` is the
     *  path as it came, before anybody decodes it (getRequestURI). */
    public Map<String, Object> person(List<String> fields, String method, String path) throws Refused {
        demand(fields.size() == 1 && TOKEN.matcher(fields.get(0)).matches(), "there is not one assertion");
        String[] parts = fields.get(0).split("\\.");
        Map<String, Object> header = decoded(parts[0]);
        demand("ES256".equals(header.get("alg")) && "JWT".equals(header.getOrDefault("typ", "JWT"))
                && !header.containsKey("crit"), "another kind of token");
        PublicKey key = header.get("kid") instanceof String ? key((String) header.get("kid")) : null;
        demand(key != null, "a key that the gateway does not publish");
        demand(isSigned(key, parts[0] + "." + parts[1], octets(parts[2])), "not signed by the gateway");
        Map<String, Object> claims = decoded(parts[1]);
        demand(issuer.equals(claims.get("iss")) && audience.equals(claims.get("aud")),
                "from another gateway, or for another portal");
        demand(now() - LEEWAY < time(claims, "exp"), "too old");
        demand(now() + LEEWAY >= time(claims, "iat")
                && (!claims.containsKey("nbf") || now() + LEEWAY >= time(claims, "nbf")), "from the future");
        if (bound || claims.containsKey("htm") || claims.containsKey("htu")) {
            demand(method.equals(claims.get("htm")) && (origin + path.split("\\?", 2)[0]).equals(claims.get("htu")),
                    "for another request");
        }
        demand(claims.get("sub") instanceof String && !claims.get("sub").equals(""), "about nobody");
        return claims;
    }

    /** Keys are asked for again after five minutes, and at once for one that is not known, but at most once a minute.
     *  If the gateway cannot be asked, the last ones serve for an hour. */
    private synchronized PublicKey key(String kid) {
        long now = now();
        boolean fresh = keys.containsKey(kid) && now >= fetched && now - fetched <= 300;
        if (!fresh && !(now >= asked && now - asked < 60)) {
            asked = now;
            try {
                keys = fetch();
                fetched = now;
            } catch (IOException | GeneralSecurityException | Refused | RuntimeException error) {
                // The last ones serve for a while; log this.
            }
        }
        return now - fetched <= 3600 ? keys.get(kid) : null;
    }

    /** Only keys for ES256 count; a set without one is refused, and an address elsewhere (a redirect) is not followed. */
    private Map<String, PublicKey> fetch() throws IOException, GeneralSecurityException, Refused {
        HttpURLConnection connection = (HttpURLConnection) new URL(jwks).openConnection();
        connection.setInstanceFollowRedirects(false);
        connection.setConnectTimeout(5000);
        connection.setReadTimeout(5000);
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        try (InputStream answer = connection.getInputStream()) {
            byte[] part = new byte[8192];
            for (int n; (n = answer.read(part)) > 0 && text.size() <= 65536; ) {
                text.write(part, 0, n);
            }
        }
        demand(connection.getResponseCode() == 200 && text.size() <= 65536, "not a set of keys");
        Map<String, PublicKey> found = new HashMap<>();
        for (Object published : (List<?>) Json.read(text.toString("UTF-8")).get("keys")) {
            Map<?, ?> key = (Map<?, ?>) published;
            if (key.get("kid") instanceof String && "EC".equals(key.get("kty")) && "P-256".equals(key.get("crv"))
                    && "ES256".equals(key.get("alg")) && "sig".equals(key.get("use"))) {
                found.put((String) key.get("kid"), publicKey((String) key.get("x"), (String) key.get("y")));
            }
        }
        demand(!found.isEmpty(), "no key for ES256");
        return found;
    }

    private static PublicKey publicKey(String x, String y) throws GeneralSecurityException {
        AlgorithmParameters curve = AlgorithmParameters.getInstance("EC");
        curve.init(new ECGenParameterSpec("secp256r1"));
        ECPoint point = new ECPoint(new BigInteger(1, octets(x)), new BigInteger(1, octets(y)));
        return KeyFactory.getInstance("EC")
                .generatePublic(new ECPublicKeySpec(point, curve.getParameterSpec(ECParameterSpec.class)));
    }

    /** Java 8 wants the two numbers of the signature as DER: a SEQUENCE of two INTEGERs. */
    private static boolean isSigned(PublicKey key, String signed, byte[] signature) {
        BigInteger r = new BigInteger(1, Arrays.copyOfRange(signature, 0, 32));
        BigInteger s = new BigInteger(1, Arrays.copyOfRange(signature, 32, 64));
        if (r.signum() == 0 || s.signum() == 0) {
            return false; // Java 15 to 18 take zeros for a good signature (CVE-2022-21449)
        }
        ByteArrayOutputStream der = new ByteArrayOutputStream();
        der.write(0x30);
        der.write(4 + r.toByteArray().length + s.toByteArray().length);
        for (BigInteger number : Arrays.asList(r, s)) {
            der.write(0x02);
            der.write(number.toByteArray().length);
            der.write(number.toByteArray(), 0, number.toByteArray().length);
        }
        try {
            Signature verifier = Signature.getInstance("SHA256withECDSA");
            verifier.initVerify(key);
            verifier.update(signed.getBytes(StandardCharsets.US_ASCII));
            return verifier.verify(der.toByteArray());
        } catch (GeneralSecurityException error) {
            return false;
        }
    }

    private static Map<String, Object> decoded(String part) throws Refused {
        try {
            return Json.read(new String(octets(part), StandardCharsets.UTF_8));
        } catch (RuntimeException error) {
            throw new Refused("not a token");
        }
    }

    private static long time(Map<String, Object> claims, String name) throws Refused {
        demand(claims.get(name) instanceof Long, "without a time");
        return (Long) claims.get(name);
    }

    private static byte[] octets(String part) {
        return Base64.getUrlDecoder().decode(Objects.requireNonNull(part));
    }

    private static void demand(boolean holds, String otherwise) throws Refused {
        if (!holds) {
            throw new Refused(otherwise);
        }
    }
}
