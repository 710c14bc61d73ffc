// Mono has no ECDSA (CngKey is not implemented there). So the one method that asks Windows for it asks OpenSSL here, and is as
// strict about the key's form as Windows; everything else is the kit's.
using System;
using System.Linq;
using System.Runtime.InteropServices;

public class OpenSslCheck : AssertionCheck
{
    public OpenSslCheck(string issuer, string audience, string origin, string jwks, bool bound) : base(issuer, audience, origin, jwks, bound) { }

    protected override bool IsSigned(byte[] key, byte[] signed, byte[] signature)
    {
        if (BitConverter.ToUInt32(key, 0) != 0x31534345 || BitConverter.ToUInt32(key, 4) != 32 || key.Length != 8 + 32 + 32)
            throw new ArgumentException("not a BCRYPT_ECCKEY_BLOB with a public key for ECDSA with P-256");
        byte[] head = { 0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0, 4 };
        byte[] der = head.Concat(key.Skip(8)).ToArray();
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

    [DllImport("libcrypto.so.3")] static extern IntPtr d2i_PUBKEY(IntPtr into, ref IntPtr octets, long length);
    [DllImport("libcrypto.so.3")] static extern IntPtr EVP_MD_CTX_new();
    [DllImport("libcrypto.so.3")] static extern void EVP_MD_CTX_free(IntPtr context);
    [DllImport("libcrypto.so.3")] static extern void EVP_PKEY_free(IntPtr key);
    [DllImport("libcrypto.so.3")] static extern IntPtr EVP_sha256();
    [DllImport("libcrypto.so.3")] static extern int EVP_DigestVerifyInit(IntPtr context, IntPtr none, IntPtr digest, IntPtr engine, IntPtr key);
    [DllImport("libcrypto.so.3")] static extern int EVP_DigestVerify(IntPtr context, byte[] signature, UIntPtr length, byte[] signed, UIntPtr size);
}
