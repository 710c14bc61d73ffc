// Mono has no ECDSA (CngKey is not implemented there). So the one method that asks Windows for it asks OpenSSL here;
// everything else is the kit's.
using System;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;

sealed class Drive : AssertionCheck
{
    static long now;

    Drive(string[] given, bool bound) : base(given[0], given[1], given[2], given[3], bound) { }

    protected override long Now() { return now; }

    protected override bool IsSigned(byte[] key, byte[] signed, byte[] signature)
    {
        byte[] head = { 0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0, 4 };
        byte[] der = head.Concat(key).ToArray();
        byte[] numbers = Integer(signature.Take(32)).Concat(Integer(signature.Skip(32))).ToArray();
        byte[] sequence = new byte[] { 0x30, (byte)numbers.Length }.Concat(numbers).ToArray();
        var pinned = GCHandle.Alloc(der, GCHandleType.Pinned);
        try
        {
            IntPtr at = pinned.AddrOfPinnedObject(), context = EVP_MD_CTX_new();
            IntPtr imported = d2i_PUBKEY(IntPtr.Zero, ref at, der.Length);
            bool good = imported != IntPtr.Zero
                && EVP_DigestVerifyInit(context, IntPtr.Zero, EVP_sha256(), IntPtr.Zero, imported) == 1
                && EVP_DigestVerify(context, sequence, (UIntPtr)sequence.Length, signed, (UIntPtr)signed.Length) == 1;
            EVP_MD_CTX_free(context);
            EVP_PKEY_free(imported);
            return good;
        }
        finally { pinned.Free(); }
    }

    static byte[] Integer(System.Collections.Generic.IEnumerable<byte> number)
    {
        byte[] rest = number.SkipWhile(octet => octet == 0).ToArray();
        if (rest.Length == 0 || rest[0] > 127) rest = new byte[] { 0 }.Concat(rest).ToArray();
        return new byte[] { 2, (byte)rest.Length }.Concat(rest).ToArray();
    }

    static void Main(string[] given)
    {
        Drive[] checks = { new Drive(given, false), new Drive(given, true) };
        for (string line; (line = Console.ReadLine()) != null; )
        {
            string[] parts = line.Split('\t');
            now = long.Parse(parts[0]);
            string[] fields = parts[4] == "" ? null
                : parts[4].Split(',').Select(field => Encoding.GetEncoding("iso-8859-1").GetString(Convert.FromBase64String(field.Substring(1)))).ToArray();
            try
            {
                var claims = checks[int.Parse(parts[1])].Person(fields, parts[2], parts[3]);
                object name;
                claims.TryGetValue("name", out name);
                Console.WriteLine("ok\t" + claims["sub"] + "\t" + Convert.ToBase64String(Encoding.UTF8.GetBytes((string)name ?? "")));
            }
            catch (AssertionRefused refused) { Console.WriteLine("no\t" + refused.Message); }
        }
    }

    [DllImport("libcrypto.so.3")] static extern IntPtr d2i_PUBKEY(IntPtr into, ref IntPtr octets, long length);
    [DllImport("libcrypto.so.3")] static extern IntPtr EVP_MD_CTX_new();
    [DllImport("libcrypto.so.3")] static extern void EVP_MD_CTX_free(IntPtr context);
    [DllImport("libcrypto.so.3")] static extern void EVP_PKEY_free(IntPtr key);
    [DllImport("libcrypto.so.3")] static extern IntPtr EVP_sha256();
    [DllImport("libcrypto.so.3")] static extern int EVP_DigestVerifyInit(IntPtr context, IntPtr none, IntPtr digest, IntPtr engine, IntPtr key);
    [DllImport("libcrypto.so.3")] static extern int EVP_DigestVerify(IntPtr context, byte[] signature, UIntPtr length, byte[] signed, UIntPtr size);
}
