import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;

public final class Drive extends AssertionCheck {
    private static long now;

    private Drive(String[] given, boolean bound) {
        super(given[0], given[1], given[2], given[3], bound);
    }

    @Override
    protected long now() {
        return now;
    }

    public static void main(String[] given) throws Exception {
        Drive[] checks = {new Drive(given, false), new Drive(given, true)};
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line; (line = lines.readLine()) != null; ) {
            String[] parts = line.split("\t", -1);
            now = Long.parseLong(parts[0]);
            List<String> fields = new ArrayList<>();
            for (String field : parts[4].isEmpty() ? new String[0] : parts[4].split(",")) {
                fields.add(new String(Base64.getDecoder().decode(field.substring(1)), StandardCharsets.ISO_8859_1));
            }
            try {
                Map<String, Object> claims = checks[Integer.parseInt(parts[1])].person(fields, parts[2], parts[3]);
                byte[] name = ((String) claims.getOrDefault("name", "")).getBytes(StandardCharsets.UTF_8);
                System.out.println("ok\t" + claims.get("sub") + "\t" + Base64.getEncoder().encodeToString(name));
            } catch (Refused refused) {
                System.out.println("no\t" + refused.getMessage());
            }
        }
    }
}
