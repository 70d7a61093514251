"""The SQL that is not generated from the structs, each query with the reason for its shape."""

# Every write takes the lock at once: a transaction that begins by reading could find itself too old to write.
BEGIN = "BEGIN IMMEDIATE"

# A look needs no lock: what it reads is as of its first question.
LOOK = "BEGIN DEFERRED"

# Each arm walks its own partial index and stops at the limit, so the cost is that of what is due, not of what there is.
# The literals repeat the indexes' own conditions: SQLite uses a partial index only where it can see them.
DUE = """
SELECT * FROM (SELECT 'batch' AS kind, id, wake_at FROM batches
               WHERE run = :run AND wake_at <= :now
               ORDER BY wake_at, id LIMIT :limit)
UNION ALL
SELECT * FROM (SELECT 'delivery', id, wake_at FROM deliveries
               WHERE run = :run AND state = 'due' AND wake_at <= :now
               ORDER BY wake_at, id LIMIT :limit)
UNION ALL
SELECT * FROM (SELECT 'setback', id, wake_at FROM setbacks
               WHERE run = :run AND decision = 'again' AND packed_in = '' AND wake_at <= :now
               ORDER BY wake_at, id LIMIT :limit)
ORDER BY wake_at, kind, id
LIMIT :limit
"""

# The first entry of each of the same three indexes.
NEXT_WAKE = """
SELECT min(wake_at) FROM (
    SELECT min(wake_at) AS wake_at FROM batches WHERE run = :run AND wake_at IS NOT NULL
    UNION ALL
    SELECT min(wake_at) FROM deliveries WHERE run = :run AND state = 'due' AND wake_at IS NOT NULL
    UNION ALL
    SELECT min(wake_at) FROM setbacks
    WHERE run = :run AND decision = 'again' AND packed_in = '' AND wake_at IS NOT NULL
)
"""

# Adds without reading first.
COUNT = "INSERT INTO books (run, name, n) VALUES (?, ?, ?) ON CONFLICT (run, name) DO UPDATE SET n = n + excluded.n"

# All counters of a run at once; a guard adds up the few it names in Python.
BOOKS = "SELECT name, n FROM books WHERE run = ?"

# Lapsed or not: that is judged by the clock of whoever asks.
LEASE = "SELECT name, owner, host, pid, until, since FROM leases WHERE name = ?"

# Taking and renewing are one statement. Whether it may be done was decided in the same transaction.
TAKE_LEASE = "INSERT OR REPLACE INTO leases (name, owner, host, pid, until, since) VALUES (?, ?, ?, ?, ?, ?)"

# Only the holder's own: a driver that lost its lease must not give away its successor's.
RELEASE_LEASE = "DELETE FROM leases WHERE name = ? AND owner = ?"

# Looked at inside the transaction that depends on it.
HOLDS_LEASE = "SELECT 1 FROM leases WHERE name = ? AND owner = ? AND until > ?"
