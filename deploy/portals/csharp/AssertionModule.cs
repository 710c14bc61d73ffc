#define TRACE // otherwise nothing says why somebody was refused
using System;
using System.Collections;
using System.Configuration;
using System.Linq;
using System.Security.Principal;
using System.Web;

/// <summary>Lets only requests in that the gateway has sent, for every page of an ASP.NET site (README.md says how it is
/// registered). User.Identity.Name is the subject, User.IsInRole the role at this portal.</summary>
public sealed class AssertionModule : IHttpModule
{
    static readonly AssertionCheck Check = new AssertionCheck(
        Setting("issuer"), Setting("audience"), Setting("origin"), Setting("jwks"), bool.Parse(Setting("bound")));

    public void Init(HttpApplication application)
    {
        application.AuthenticateRequest += Authenticate;
    }

    static void Authenticate(object sender, EventArgs arguments)
    {
        var context = ((HttpApplication)sender).Context;
        try
        {
            var request = context.Request;
            var claims = Check.Person(request.Headers.GetValues("X-Auth-Assertion"), request.HttpMethod, request.RawUrl);
            object roles;
            claims.TryGetValue("roles", out roles);
            var names = ((IEnumerable)roles ?? new object[0]).Cast<string>().ToArray();
            context.User = new GenericPrincipal(new GenericIdentity((string)claims["sub"], "authproxy"), names);
            context.Items["authproxy.claims"] = claims;
        }
        catch (AssertionRefused refused)
        {
            System.Diagnostics.Trace.TraceWarning("refused: " + refused.Message);
            context.Response.StatusCode = 403;
            context.ApplicationInstance.CompleteRequest();
        }
    }

    static string Setting(string name)
    {
        string value = ConfigurationManager.AppSettings["authproxy." + name];
        if (string.IsNullOrEmpty(value)) throw new ConfigurationErrorsException("authproxy." + name + " is missing");
        return value;
    }

    public void Dispose() { }
}
