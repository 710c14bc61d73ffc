import java.io.IOException;
import java.security.Principal;
import javax.servlet.annotation.WebServlet;
import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;
import javax.websocket.OnMessage;
import javax.websocket.server.ServerEndpoint;
import org.apache.catalina.startup.Tomcat;

/** A Tomcat with a portal in FOLDER/portal, as its web.xml says. It ends with its standard input. */
public final class Container {
    public static void main(String[] given) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(given[0]);
        tomcat.setPort(Integer.parseInt(given[1]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setProperty("maxHttpHeaderSize", "32768");
        tomcat.addWebapp("", given[0] + "/portal");
        tomcat.start();
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }

    @ServerEndpoint("/socket")
    public static final class Socket {
        @OnMessage
        public String answer(String said) {
            return said;
        }
    }

    @WebServlet(urlPatterns = "/*")
    public static final class Page extends HttpServlet {
        @Override
        protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
            Principal principal = request.getUserPrincipal();
            response.setContentType("text/plain");
            response.getWriter().print(request.getRemoteUser() + " " + principal.getName() + " "
                    + request.isUserInRole("approver") + " " + request.isUserInRole("owner"));
        }
    }
}
