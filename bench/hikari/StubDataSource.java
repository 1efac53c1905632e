// A data source whose connections do nothing. Connecting takes as long as its argument says.

import java.io.PrintWriter;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Logger;
import javax.sql.DataSource;

final class StubDataSource implements DataSource {
    final AtomicLong opened = new AtomicLong();
    private final long connectMillis;

    StubDataSource(long connectMillis) {
        this.connectMillis = connectMillis;
    }

    @Override
    public Connection getConnection() throws SQLException {
        try {
            Thread.sleep(connectMillis);
        } catch (InterruptedException interrupted) {
            throw new SQLException(interrupted);
        }
        opened.incrementAndGet();
        return new StubConnection();
    }

    @Override
    public Connection getConnection(String user, String password) throws SQLException {
        return getConnection();
    }

    @Override
    public PrintWriter getLogWriter() {
        return null;
    }

    @Override
    public void setLogWriter(PrintWriter out) {}

    @Override
    public void setLoginTimeout(int seconds) {}

    @Override
    public int getLoginTimeout() {
        return 0;
    }

    @Override
    public Logger getParentLogger() {
        return null;
    }

    @Override
    public <T> T unwrap(Class<T> type) {
        return null;
    }

    @Override
    public boolean isWrapperFor(Class<?> type) {
        return false;
    }
}
