import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Makes the requests of ../README.md with the recipe in the file beside it. */
final class Run {
    public static void main(String[] arguments) throws Exception {
        var threads = Executors.newFixedThreadPool(4);
        List<Callable<Boolean>> workers = new ArrayList<>();
        for (int worker = 0; worker < 4; worker++) {
            int first = worker + 1;
            workers.add(() -> work(first));
        }
        int failed = 0;
        try {
            for (Future<Boolean> worker : threads.invokeAll(workers)) failed += worker.get() ? 1 : 0;
        } finally {
            threads.shutdown();
        }
        if (failed != 1) throw new AssertionError("ticket 13 was not refused");
    }

    /** Closes every fourth ticket. Returns whether ticket 13 was refused. */
    private static boolean work(int first) throws SQLException {
        boolean refused = false;
        try (Connection connection = DriverManager.getConnection(System.getenv("DATABASE_URL"))) {
            for (int ticket = first; ticket <= 40; ticket += 4) {
                String workspace = ticket % 2 == 0 ? "globex" : "acme";
                var context = new Recipe.Context(workspace, "user:" + workspace, "192.0.2." + (1 + ticket % 2));
                try {
                    Recipe.closeTicket(connection, context, ticket);
                } catch (SQLException error) {
                    if (ticket != 13) throw error;
                    refused = true;
                }
            }
        }
        return refused;
    }
}
