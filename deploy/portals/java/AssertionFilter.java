import java.io.IOException;
import java.security.Principal;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import javax.servlet.Filter;
import javax.servlet.FilterChain;
import javax.servlet.FilterConfig;
import javax.servlet.ServletException;
import javax.servlet.ServletRequest;
import javax.servlet.ServletResponse;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletRequestWrapper;
import javax.servlet.http.HttpServletResponse;

/** Lets only requests in that the gateway has sent. getRemoteUser and getUserPrincipal are the subject, isUserInRole
 *  says the roles at this portal. Settings are init-params in web.xml: issuer, audience, origin, jwks, bound. */
public class AssertionFilter implements Filter {
    private AssertionCheck check;

    @Override
    public void init(FilterConfig config) throws ServletException {
        String bound = config.getInitParameter("bound");
        if (!"true".equals(bound) && !"false".equals(bound)) {
            throw new ServletException("bound must be true or false");
        }
        check = new AssertionCheck(config.getInitParameter("issuer"), config.getInitParameter("audience"),
                config.getInitParameter("origin"), config.getInitParameter("jwks"),
                bound.equals("true"));
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        HttpServletRequest asked = (HttpServletRequest) request;
        final Map<String, Object> claims;
        try {
            List<String> fields = Collections.list(asked.getHeaders("X-Auth-Assertion"));
            claims = check.person(fields, asked.getMethod(), asked.getRequestURI());
        } catch (AssertionCheck.Refused refused) {
            asked.getServletContext().log("refused: " + refused.getMessage());
            ((HttpServletResponse) response).sendError(HttpServletResponse.SC_FORBIDDEN);
            return;
        }
        asked.setAttribute("authproxy.claims", claims);
        chain.doFilter(new HttpServletRequestWrapper(asked) {
            @Override
            public String getRemoteUser() {
                return (String) claims.get("sub");
            }

            @Override
            public Principal getUserPrincipal() {
                return this::getRemoteUser;
            }

            @Override
            public boolean isUserInRole(String role) {
                return claims.get("roles") instanceof List && ((List<?>) claims.get("roles")).contains(role);
            }
        }, response);
    }

    @Override
    public void destroy() {
    }
}
