import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;

/** Sends bodies with the JDK's own client, which offers HTTP/2 by `Upgrade: h2c`, and expects their SHA-256 back. A line for each answer. */
public class Asks {
    public static void main(String[] arguments) throws Exception {
        String address = arguments[0], host = arguments[1], cookie = arguments[2];
        int[] sizes = arguments[3].equals("all") ? new int[] {0, 1, 1000, 70_000, 3_000_000} : new int[] {0};
        for (boolean isShared : new boolean[] {true, false}) {
            HttpClient shared = HttpClient.newHttpClient();
            for (String method : List.of("POST", "PUT", "PATCH", "DELETE", "GET")) {
                for (int size : sizes) {
                    for (String how : List.of("known", "streamed", "expected")) {
                        if (size == 0 && !how.equals("known") || method.equals("GET") && size > 0) {
                            continue;
                        }
                        byte[] body = new byte[size];
                        new Random(size).nextBytes(body);
                        // A published array has a length; without one it is sent in chunks.
                        BodyPublisher known = size == 0 ? BodyPublishers.noBody() : BodyPublishers.ofByteArray(body);
                        BodyPublisher publisher = how.equals("streamed") ? BodyPublishers.fromPublisher(known) : known;
                        HttpRequest request = HttpRequest.newBuilder(URI.create(address)).method(method, publisher)
                            .header("Host", host).header("Cookie", cookie).expectContinue(how.equals("expected"))
                            .timeout(Duration.ofSeconds(20)).build();
                        HttpClient client = isShared ? shared : HttpClient.newHttpClient();
                        HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
                        String sum = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
                        String said = answer.body().equals(sum) ? "intact" : "changed";
                        System.out.println(String.join(" ", method, String.valueOf(size), how, String.valueOf(answer.statusCode()), said));
                    }
                }
            }
        }
    }
}
