// A web server in which Mono's ASP.NET serves the portal in FOLDER/portal, as its Web.config says: AspNet.exe FOLDER PORT.
// It ends with its standard input.
using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Web;
using System.Web.Hosting;

public sealed class AspNet : MarshalByRefObject
{
    static void Main(string[] given)
    {
        var server = (AspNet)ApplicationHost.CreateApplicationHost(typeof(AspNet), "/", given[0] + "/portal");
        server.Listen(given[1]);
        while (Console.Read() >= 0) { }
        Environment.Exit(0);
    }

    public void Listen(string port)
    {
        var listener = new HttpListener();
        listener.Prefixes.Add("http://127.0.0.1:" + port + "/");
        listener.Prefixes.Add("http://localhost:" + port + "/");
        listener.Start();
        new System.Threading.Thread(() => { while (true) HttpRuntime.ProcessRequest(new Asked(listener.GetContext())); }) { IsBackground = true }.Start();
    }

    public override object InitializeLifetimeService() { return null; }

    sealed class Asked : SimpleWorkerRequest
    {
        readonly HttpListenerContext asked;
        readonly MemoryStream body = new MemoryStream();

        public Asked(HttpListenerContext asked) : base("", asked.Request.Url.Query.TrimStart('?'), TextWriter.Null) { this.asked = asked; }

        public override string GetHttpVerbName() { return asked.Request.HttpMethod; }
        public override string GetRawUrl() { return asked.Request.RawUrl; }
        public override string GetUriPath() { return asked.Request.Url.AbsolutePath; }
        public override string GetFilePath() { return asked.Request.Url.AbsolutePath; }

        public override string[][] GetUnknownRequestHeaders()
        {
            var found = new List<string[]>();
            foreach (string name in asked.Request.Headers)
                foreach (string value in asked.Request.Headers.GetValues(name)) found.Add(new[] { name, value });
            return found.ToArray();
        }

        public override void SendStatus(int code, string description) { asked.Response.StatusCode = code; }
        public override void SendResponseFromMemory(byte[] data, int length) { body.Write(data, 0, length); }
        public override void EndOfRequest() { asked.Response.Close(body.ToArray(), true); }
    }
}

public sealed class Page : IHttpHandler
{
    public bool IsReusable { get { return true; } }

    public void ProcessRequest(HttpContext context)
    {
        var claims = (IDictionary<string, object>)context.Items["authproxy.claims"];
        context.Response.Write(context.User.Identity.Name + " " + claims["sub"] + " "
            + (context.User.IsInRole("approver") + " " + context.User.IsInRole("owner")).ToLower());
    }
}
