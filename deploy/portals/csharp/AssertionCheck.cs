using System;
using System.Collections;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using System.Web.Script.Serialization; // System.Web.Extensions.dll

/// <summary>Answer 403. The message says what is wrong, and has nothing of the assertion in it.</summary>
public sealed class AssertionRefused : Exception
{
    public AssertionRefused(string what) : base(what) { }
}

/// <summary>Verifies the gateway's assertion. .NET Framework 4.6.1 and later, C# 5; threads may share one object.</summary>
public class AssertionCheck
{
    // Three parts in base64url without padding; the last are 64 bytes, which can be written in one way only.
    static readonly Regex Token = new Regex(@"\A[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]{1,14000}\.[A-Za-z0-9_-]{85}[AQgw]\z");
    const long Leeway = 30;

    readonly string issuer, audience, origin, jwks;
    readonly bool bound;
    readonly object gate = new object();
    Dictionary<string, byte[]> keys = new Dictionary<string, byte[]>();
    long fetched = -3601, asked = -3601;

    public AssertionCheck(string issuer, string audience, string origin, string jwks, bool bound)
    {
        if (new[] { issuer, audience, origin, jwks }.Any(string.IsNullOrEmpty))
            throw new ArgumentException("issuer, audience, origin and jwks must be set");
        if (!jwks.StartsWith("https://", StringComparison.Ordinal) && !jwks.StartsWith("http://127.0.0.1:", StringComparison.Ordinal))
            throw new ArgumentException("the keys must come over TLS, or from this machine");
        this.issuer = issuer; this.audience = audience; this.origin = origin; this.jwks = jwks; this.bound = bound;
    }

    /// <summary>Seconds since 1970.</summary>
    protected virtual long Now() { return DateTimeOffset.UtcNow.ToUnixTimeSeconds(); }

    /// <summary>The claims about whoever is asking. `fields` is Request.Headers.GetValues("X-Auth-Assertion"), `path`
    /// the path as it came, before anybody decodes it (Request.RawUrl).</summary>
    public IDictionary<string, object> Person(string[] fields, string method, string path)
    {
        Demand(fields != null && fields.Length == 1 && Token.IsMatch(fields[0]), "there is not one assertion");
        string[] parts = fields[0].Split('.');
        var header = Decoded(parts[0]);
        Demand("ES256".Equals(Member(header, "alg")) && "JWT".Equals(header.ContainsKey("typ") ? header["typ"] : "JWT")
            && !header.ContainsKey("crit"), "another kind of token");
        byte[] key = Member(header, "kid") is string ? Key((string)header["kid"]) : null;
        Demand(key != null, "a key that the gateway does not publish");
        Demand(IsSigned(key, Encoding.ASCII.GetBytes(parts[0] + "." + parts[1]), Octets(parts[2])), "not signed by the gateway");
        var claims = Decoded(parts[1]);
        Demand(issuer.Equals(Member(claims, "iss")) && audience.Equals(Member(claims, "aud")), "from another gateway, or for another portal");
        Demand(Now() - Leeway < Time(claims, "exp"), "too old");
        Demand(Now() + Leeway >= Time(claims, "iat") && (!claims.ContainsKey("nbf") || Now() + Leeway >= Time(claims, "nbf")), "from the future");
        if (bound || claims.ContainsKey("htm") || claims.ContainsKey("htu"))
            Demand(method.Equals(Member(claims, "htm")) && (origin + path.Split('?')[0]).Equals(Member(claims, "htu")), "for another request");
        Demand(!string.IsNullOrEmpty(Member(claims, "sub") as string), "about nobody");
        return claims;
    }

    /// <summary>Windows' ECDSA with P-256 and SHA-256. `key` comes from Blob, `signature` is r and s, 32 bytes each.</summary>
    protected virtual bool IsSigned(byte[] key, byte[] signed, byte[] signature)
    {
        try
        {
            using (var imported = CngKey.Import(key, CngKeyBlobFormat.EccPublicBlob))
            using (var verifier = new ECDsaCng(imported) { HashAlgorithm = CngAlgorithm.Sha256 })
                return verifier.VerifyData(signed, signature);
        }
        catch (CryptographicException) { return false; }
    }

    /// <summary>BCRYPT_ECCKEY_BLOB: what it is (ECS1, a public key for ECDSA with P-256), the length of a coordinate, x and y.</summary>
    static byte[] Blob(byte[] x, byte[] y)
    {
        Demand(x.Length == 32 && y.Length == 32, "not a point of P-256");
        return new byte[] { 0x45, 0x43, 0x53, 0x31, 32, 0, 0, 0 }.Concat(x).Concat(y).ToArray();
    }

    /// <summary>Keys are asked for again after five minutes, and at once for one that is not known, but at most once a
    /// minute. If the gateway cannot be asked, the last ones serve for an hour.</summary>
    byte[] Key(string kid)
    {
        lock (gate)
        {
            long now = Now();
            bool fresh = keys.ContainsKey(kid) && now >= fetched && now - fetched <= 300;
            if (!fresh && !(now >= asked && now - asked < 60))
            {
                asked = now;
                try { keys = Fetch(); fetched = now; }
                catch (Exception) { } // the last ones serve for a while; log this
            }
            return now - fetched <= 3600 && keys.ContainsKey(kid) ? keys[kid] : null;
        }
    }

    /// <summary>Only keys for ES256 count; a set without one is refused, and an address elsewhere (a redirect) is not followed.</summary>
    Dictionary<string, byte[]> Fetch()
    {
        var request = (HttpWebRequest)WebRequest.Create(jwks);
        request.AllowAutoRedirect = false;
        request.Timeout = request.ReadWriteTimeout = 5000;
        var found = new Dictionary<string, byte[]>();
        using (var answer = (HttpWebResponse)request.GetResponse())
        using (var reader = new StreamReader(answer.GetResponseStream(), Encoding.UTF8))
        {
            var text = new char[65537];
            int length = reader.ReadBlock(text, 0, text.Length);
            Demand(answer.StatusCode == HttpStatusCode.OK && length < text.Length, "not a set of keys");
            var published = (IDictionary<string, object>)new JavaScriptSerializer().DeserializeObject(new string(text, 0, length));
            foreach (IDictionary<string, object> key in (IEnumerable)published["keys"])
                if (Member(key, "kid") is string && "EC".Equals(Member(key, "kty")) && "P-256".Equals(Member(key, "crv"))
                    && "ES256".Equals(Member(key, "alg")) && "sig".Equals(Member(key, "use")))
                    found[(string)key["kid"]] = Blob(Octets((string)key["x"]), Octets((string)key["y"]));
        }
        Demand(found.Count > 0, "no key for ES256");
        return found;
    }

    static IDictionary<string, object> Decoded(string part)
    {
        IDictionary<string, object> members = null;
        try { members = new JavaScriptSerializer().DeserializeObject(Encoding.UTF8.GetString(Octets(part))) as IDictionary<string, object>; }
        catch (SystemException) { }
        Demand(members != null, "not a token");
        return members;
    }

    static object Member(IDictionary<string, object> members, string name)
    {
        object found;
        return members.TryGetValue(name, out found) ? found : null;
    }

    static long Time(IDictionary<string, object> claims, string name)
    {
        object time = Member(claims, name);
        Demand(time is int || time is long, "without a time");
        return Convert.ToInt64(time);
    }

    static byte[] Octets(string part)
    {
        return Convert.FromBase64String(part.Replace('-', '+').Replace('_', '/') + new string('=', (4 - part.Length % 4) % 4));
    }

    static void Demand(bool holds, string otherwise)
    {
        if (!holds) throw new AssertionRefused(otherwise);
    }
}
