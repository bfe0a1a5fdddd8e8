import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** A com.sun.net.httpserver that writes down one line of JSON per request: Recorder PORT LOG. */
public final class Recorder {
    public static void main(String[] args) throws IOException {
        Path log = Path.of(args[1]);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 16);
        server.createContext("/", exchange -> {
            exchange.getRequestBody().readAllBytes();
            String uri = exchange.getRequestURI().toString();
            int status = uri.startsWith("/missing") ? 404 : 200;
            String line = exchange.getRequestMethod() + " " + uri + " " + exchange.getProtocol();
            String tenant = exchange.getRequestHeaders().getFirst("X-Tenant");
            String entry = String.format("{\"line\":\"%s\",\"status\":%d,\"tenant\":\"%s\"}%n", line, status, tenant);
            Files.writeString(log, entry, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            exchange.getResponseHeaders().set("X-Served-By", "java");
            boolean head = exchange.getRequestMethod().equals("HEAD");
            byte[] body = "ok\n".getBytes();
            exchange.sendResponseHeaders(status, head ? -1 : body.length);
            if (!head) {
                exchange.getResponseBody().write(body);
            }
            exchange.close();
        });
        server.start();
    }
}
