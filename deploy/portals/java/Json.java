import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Reads an object of JSON (RFC 8259), because Java has no reader of its own. Members that appear twice are refused.
 *  Every fault is a RuntimeException. Whoever has Jackson or Gson takes that. */
final class Json {
    private static final int DEEPEST = 20;
    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> read(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.blanks();
        check(json.at == text.length() && value instanceof Map);
        return (Map<String, Object>) value;
    }

    private Object value() {
        blanks();
        char first = text.charAt(at);
        if (first == '"') {
            return string();
        }
        if (first == '{' || first == '[') {
            check(++depth <= DEEPEST);
            Object found = first == '{' ? object() : list();
            depth--;
            return found;
        }
        int start = at;
        while (at < text.length() && "+-.".indexOf(text.charAt(at)) + 1 + (Character.isLetterOrDigit(text.charAt(at)) ? 1 : 0) > 0) {
            at++;
        }
        String word = text.substring(start, at);
        switch (word) {
            case "true": return true;
            case "false": return false;
            case "null": return null;
            default:
                check(word.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?"));
                return word.matches("-?[0-9]{1,18}") ? (Object) Long.valueOf(word) : (Object) Double.valueOf(word);
        }
    }

    private Map<String, Object> object() {
        Map<String, Object> members = new HashMap<>();
        at++;
        for (boolean first = true; !ends('}', first); first = false) {
            blanks();
            String name = string();
            blanks();
            check(text.charAt(at++) == ':' && !members.containsKey(name));
            members.put(name, value());
        }
        return members;
    }

    private List<Object> list() {
        List<Object> items = new ArrayList<>();
        at++;
        for (boolean first = true; !ends(']', first); first = false) {
            items.add(value());
        }
        return items;
    }

    /** Whether the closing bracket comes. Otherwise a comma stands before whatever is not the first. */
    private boolean ends(char closing, boolean first) {
        blanks();
        char next = text.charAt(at);
        check(first || next == ',' || next == closing);
        at += next == closing || !first ? 1 : 0;
        return next == closing;
    }

    private String string() {
        check(text.charAt(at++) == '"');
        StringBuilder found = new StringBuilder();
        for (char next; (next = text.charAt(at++)) != '"'; ) {
            check(next >= ' ');
            if (next == '\\') {
                next = text.charAt(at++);
                int place = "bfnrt".indexOf(next);
                if (next == 'u') {
                    String code = text.substring(at, at += 4);
                    check(code.matches("[0-9A-Fa-f]{4}"));
                    next = (char) Integer.parseInt(code, 16);
                } else if (place >= 0) {
                    next = "\b\f\n\r\t".charAt(place);
                } else {
                    check("\"\\/".indexOf(next) >= 0);
                }
            }
            found.append(next);
        }
        return found.toString();
    }

    private void blanks() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new IllegalArgumentException("not an object of JSON");
        }
    }
}
