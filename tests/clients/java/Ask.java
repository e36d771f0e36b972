import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;

/** Asks a sidecar with the Java client: requests on standard input, a record a line on standard output. */
public final class Ask {
    public static void main(String[] arguments) throws Exception {
        var client = new TollgateClient(arguments[0], Duration.ofMinutes(1));
        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            var decision = client.decide(line);
            if (decision.isFallback() || decision.correlationId().isEmpty()) {
                throw new IllegalStateException(decision.toString());
            }
            System.out.println(decision.action() + " " + decision.record());
        }
        try {
            client.decide("{\"features\":{},\"states\":{\"asn_risk\":\"odd\"}}");
            throw new IllegalStateException("no problem");
        } catch (TollgateClient.Problem problem) {
            System.out.println(problem.code + " " + problem.status);
        }
    }
}
