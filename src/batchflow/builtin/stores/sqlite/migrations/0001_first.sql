-- One table for each entity and fact of model/state.py: a column for each field, nested values as JSON text.
-- Neither STRICT nor RETURNING: some systems' SQLite is older than they are.

PRAGMA application_id = 1650879607; -- 'bflw': how we know a file as ours

CREATE TABLE runs (
    id          TEXT    NOT NULL PRIMARY KEY,
    version     INTEGER NOT NULL,
    job         TEXT    NOT NULL,
    file        TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    why         TEXT    NOT NULL,
    word        TEXT,
    config      TEXT    NOT NULL,
    summary     TEXT    NOT NULL,
    fingerprint TEXT,
    position    TEXT    NOT NULL,
    read_all    INTEGER NOT NULL,
    created_at  REAL    NOT NULL,
    ended_at    REAL,
    cancel      INTEGER NOT NULL
);

CREATE TABLE batches (
    id           TEXT    NOT NULL PRIMARY KEY,
    version      INTEGER NOT NULL,
    run          TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    lane         TEXT    NOT NULL,
    wake_at      REAL,
    count        INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    retry        INTEGER NOT NULL,
    reserved     INTEGER NOT NULL,
    requests     TEXT,
    context      TEXT,
    results      TEXT    NOT NULL,
    token        TEXT    NOT NULL,
    tries        INTEGER NOT NULL,
    remote       TEXT    NOT NULL,
    proven       INTEGER NOT NULL,
    cancel       INTEGER NOT NULL,
    submitted_at REAL,
    expires_at   REAL,
    ended_at     REAL,
    blanket      TEXT,
    why          TEXT    NOT NULL,
    good         INTEGER NOT NULL,
    sequence     INTEGER
);

-- What is due is asked all the time and is few of many: partial indexes hold only what is scheduled.
CREATE INDEX batches_due ON batches (run, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX batches_of_run ON batches (run, id);
CREATE INDEX batches_by_state ON batches (state); -- lost batches of all runs are claimed together

CREATE TABLE intents (
    token        TEXT    NOT NULL PRIMARY KEY,
    version      INTEGER NOT NULL,
    run          TEXT    NOT NULL,
    batch        TEXT    NOT NULL,
    count        INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    at           REAL    NOT NULL,
    last_byte_at REAL    NOT NULL,
    watermark    REAL    NOT NULL,
    binding      TEXT    NOT NULL,
    healthy      INTEGER NOT NULL,
    watch_until  REAL
);

CREATE INDEX intents_of_batch ON intents (batch);
CREATE INDEX intents_by_state ON intents (state);

CREATE TABLE deliveries (
    id         TEXT    NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL,
    run        TEXT    NOT NULL,
    batch      TEXT    NOT NULL,
    sink       TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    wake_at    REAL,
    rows       INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    receipt    TEXT,
    sequence   INTEGER NOT NULL,
    why        TEXT    NOT NULL
);

CREATE INDEX deliveries_due ON deliveries (run, wake_at) WHERE state = 'due' AND wake_at IS NOT NULL;
CREATE INDEX deliveries_of_run ON deliveries (run, id);
CREATE INDEX deliveries_of_batch ON deliveries (batch);

CREATE TABLE outlets (
    id      TEXT    NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    run     TEXT    NOT NULL,
    sink    TEXT    NOT NULL,
    receipt TEXT
);

CREATE TABLE setbacks (
    id        TEXT    NOT NULL PRIMARY KEY,
    version   INTEGER NOT NULL,
    run       TEXT    NOT NULL,
    batch     TEXT    NOT NULL,
    attempt   INTEGER NOT NULL,
    word      TEXT    NOT NULL,
    decision  TEXT    NOT NULL,
    count     INTEGER NOT NULL,
    rows      BLOB    NOT NULL,
    change    TEXT    NOT NULL,
    packed_in TEXT    NOT NULL,
    wake_at   REAL,
    key       TEXT    NOT NULL,
    sample    TEXT    NOT NULL,
    generation INTEGER NOT NULL
);

CREATE INDEX setbacks_due ON setbacks (run, wake_at)
    WHERE decision = 'again' AND packed_in = '' AND wake_at IS NOT NULL;
CREATE INDEX setbacks_of_run ON setbacks (run, id);
CREATE INDEX setbacks_of_batch ON setbacks (batch);

CREATE TABLE wishes (
    id      TEXT    NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    run     TEXT    NOT NULL,
    verb    TEXT    NOT NULL,
    data    TEXT    NOT NULL,
    at      REAL    NOT NULL,
    done_at REAL
);

CREATE INDEX wishes_open ON wishes (run) WHERE done_at IS NULL; -- a driver looks for them at every turn

CREATE TABLE remotes (
    id    TEXT NOT NULL PRIMARY KEY,
    run   TEXT NOT NULL,
    batch TEXT NOT NULL,
    token TEXT NOT NULL,
    at    REAL NOT NULL,
    how   TEXT NOT NULL
);

CREATE INDEX remotes_of_batch ON remotes (batch);

CREATE TABLE entries (
    id            TEXT    NOT NULL PRIMARY KEY,
    run           TEXT    NOT NULL,
    batch         TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    paid          INTEGER NOT NULL,
    listed        INTEGER NOT NULL,
    rows          INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    at            REAL    NOT NULL
);

CREATE INDEX entries_of_run ON entries (run, id);

CREATE TABLE events (
    id      TEXT NOT NULL PRIMARY KEY,
    run     TEXT NOT NULL,
    at      REAL NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    text    TEXT NOT NULL,
    data    TEXT NOT NULL
);

CREATE INDEX events_of_run ON events (run, id);

-- A row a counter, not a column: a counter that comes later needs no migration.
CREATE TABLE books (
    run  TEXT    NOT NULL,
    name TEXT    NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;

CREATE TABLE leases (
    name  TEXT    NOT NULL PRIMARY KEY,
    owner TEXT    NOT NULL,
    host  TEXT    NOT NULL,
    pid   INTEGER NOT NULL,
    until REAL    NOT NULL,
    since REAL    NOT NULL
) WITHOUT ROWID;
