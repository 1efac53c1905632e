// Runs the loads that standard input names, a line each, on one HikariCP pool, and answers with every loan.
//
// Arguments: size, milliseconds that connecting takes, minimumIdle, connectionTimeout in milliseconds (-1: the default).
// A load: BORROWERS nothing|sleep|spin NANOSECONDS loans|for|arrivals NUMBER RATE
// The answer: ELAPSED OPENED, and a line for each borrower: ASKED WAITED ENDED for each loan, in nanoseconds since the
// load began; ENDED is negative if there was no connection. At the pace "loans" no loan is kept.

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

public final class Bench {
    private final HikariDataSource pool;
    private final StubDataSource stub;

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false);
        Bench bench = new Bench(arguments);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            bench.run(line.split(" "), out);
            out.flush();
        }
        System.exit(0);
    }

    private Bench(String[] arguments) {
        stub = new StubDataSource(Long.parseLong(arguments[1]));
        HikariConfig config = new HikariConfig();
        config.setDataSource(stub);
        config.setMaximumPoolSize(Integer.parseInt(arguments[0]));
        int minimumIdle = Integer.parseInt(arguments[2]);
        if (minimumIdle >= 0) {
            config.setMinimumIdle(minimumIdle);
            // Opens nothing in advance beyond minimumIdle.
            config.setInitializationFailTimeout(-1);
        }
        long timeout = Long.parseLong(arguments[3]);
        if (timeout >= 0) {
            config.setConnectionTimeout(timeout);
        }
        pool = new HikariDataSource(config);
    }

    private void run(String[] load, PrintStream out) throws Exception {
        Borrower[] borrowers = new Borrower[Integer.parseInt(load[0])];
        CyclicBarrier start = new CyclicBarrier(borrowers.length + 1);
        AtomicLong arrivals = new AtomicLong();
        for (int i = 0; i < borrowers.length; i++) {
            borrowers[i] = new Borrower(load, start, arrivals);
            borrowers[i].start();
        }
        start.await();
        long first = Long.MAX_VALUE;
        long last = 0;
        for (Borrower borrower : borrowers) {
            borrower.join();
            first = Math.min(first, borrower.began);
            last = Math.max(last, borrower.ended);
        }
        out.println((last - first) + " " + stub.opened.get());
        for (Borrower borrower : borrowers) {
            borrower.tell(out);
        }
    }

    private final class Borrower extends Thread {
        private final CyclicBarrier start;
        private final AtomicLong arrivals;
        private final String work;
        private final long workNanos;
        private final String pace;
        private final long number;
        private final double rate;
        private long[] loans = new long[3 * 4096];
        private int length = 0;
        long began;
        long ended;

        Borrower(String[] load, CyclicBarrier start, AtomicLong arrivals) {
            this.start = start;
            this.arrivals = arrivals;
            work = load[1];
            workNanos = Long.parseLong(load[2]);
            pace = load[3];
            number = Long.parseLong(load[4]);
            rate = Double.parseDouble(load[5]);
        }

        @Override
        public void run() {
            try {
                start.await();
                began = System.nanoTime();
                if (pace.equals("loans")) {
                    for (long i = 0; i < number; i++) {
                        try (Connection connection = pool.getConnection()) {
                            work();
                        }
                    }
                } else {
                    keepBorrowing();
                }
                ended = System.nanoTime();
            } catch (Exception error) {
                error.printStackTrace();
                System.exit(1);
            }
        }

        private void keepBorrowing() {
            boolean arriving = pace.equals("arrivals");
            while (true) {
                long asked = System.nanoTime() - began;
                if (arriving) {
                    long due = (long) (arrivals.getAndIncrement() * 1e9 / rate);
                    if (due >= number) {
                        return;
                    }
                    if (due > asked) {
                        LockSupport.parkNanos(due - asked);
                    }
                    asked = due;
                } else if (asked >= number) {
                    return;
                }
                long waited = -1;
                try (Connection connection = pool.getConnection()) {
                    waited = System.nanoTime() - began - asked;
                    work();
                } catch (SQLException noneToBeHad) {
                    keep(asked, System.nanoTime() - began - asked, -(System.nanoTime() - began));
                    continue;
                }
                keep(asked, Math.max(waited, 0), System.nanoTime() - began);
            }
        }

        private void work() {
            if (work.equals("sleep")) {
                LockSupport.parkNanos(workNanos);
            } else if (work.equals("spin")) {
                long end = System.nanoTime() + workNanos;
                while (System.nanoTime() < end) {
                    // Spins.
                }
            }
        }

        private void keep(long asked, long waited, long ended) {
            if (length == loans.length) {
                loans = Arrays.copyOf(loans, 2 * length);
            }
            loans[length++] = asked;
            loans[length++] = waited;
            loans[length++] = ended;
        }

        void tell(PrintStream out) {
            StringBuilder line = new StringBuilder(8 * length);
            for (int i = 0; i < length; i++) {
                line.append(loans[i]).append(' ');
            }
            out.println(line);
        }
    }
}
