import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Asks a Tollgate sidecar for decisions. JDK 17 or newer, no dependency; give the JSON that
 * your own library writes and read the record with it. Safe for use by several threads.
 */
public final class TollgateClient {
    /** The sidecar said no; the code is stable. */
    public static final class Problem extends IOException {
        private static final long serialVersionUID = 1L;
        public final int status;
        public final String code;

        Problem(int status, String body) {
            super(text(body, "detail").orElse(body));
            this.status = status;
            this.code = text(body, "code").orElse("UNKNOWN");
        }
    }

    /** One decision: the action, and the whole record as JSON. */
    public record Decision(String action, String source, String correlationId, String record) {
        /** Whether the bundle's fallback action answered and not its model. */
        public boolean isFallback() {
            return source.equals("fallback");
        }
    }

    private final HttpClient http;
    private final URI decide;
    private final Duration timeout;

    public TollgateClient(String url, Duration timeout) {
        this.http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(timeout).build();
        this.decide = URI.create(url).resolve("/v1/decide");
        this.timeout = timeout;
    }

    /** Decides one request: {"features": {...}}. */
    public Decision decide(String request) throws IOException, InterruptedException {
        HttpRequest ask = HttpRequest.newBuilder(decide).timeout(timeout)
            .header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString(request)).build();
        HttpResponse<String> answer = http.send(ask, HttpResponse.BodyHandlers.ofString());
        String body = answer.body();
        if (answer.statusCode() != 200) {
            throw new Problem(answer.statusCode(), body);
        }
        String id = answer.headers().firstValue("x-correlation-id").orElse("");
        return new Decision(text(body, "action").orElseThrow(), text(body, "source").orElseThrow(), id, body);
    }

    /** A plain text member of the outer object; the sidecar's own texts of these names have no escapes. */
    private static Optional<String> text(String json, String name) {
        Matcher found = Pattern.compile("[{,]\"" + name + "\":\"([^\"]*)\"").matcher(json);
        return found.find() ? Optional.of(found.group(1)) : Optional.empty();
    }
}
