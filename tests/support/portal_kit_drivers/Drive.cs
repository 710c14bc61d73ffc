using System;
using System.Linq;
using System.Text;

sealed class Drive : OpenSslCheck
{
    static long now;

    Drive(string[] given, bool bound) : base(given[0], given[1], given[2], given[3], bound) { }

    protected override long Now() { return now; }

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
}
