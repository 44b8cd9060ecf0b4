-- The tables of a local store of format 1, as the first release made them.
CREATE TABLE partitions (
    name     TEXT PRIMARY KEY,
    known    TEXT,
    sequence INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
    partition   TEXT NOT NULL,
    name        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    digest      BLOB NOT NULL,
    failed      INTEGER NOT NULL,
    description TEXT NOT NULL,
    location    TEXT NOT NULL,
    PRIMARY KEY (partition, name, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_by_digest ON entries (digest);

CREATE TABLE newest (
    partition TEXT NOT NULL,
    name      TEXT NOT NULL,
    version   INTEGER NOT NULL,
    PRIMARY KEY (partition, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    sequence  INTEGER PRIMARY KEY,
    commit_id TEXT NOT NULL UNIQUE,
    partition TEXT NOT NULL,
    receipt   TEXT NOT NULL
) STRICT;
CREATE INDEX receipts_by_partition ON receipts (partition, sequence);

CREATE TABLE pending (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    commit_id TEXT NOT NULL UNIQUE,
    partition TEXT NOT NULL,
    staged_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX pending_by_partition ON pending (partition, sequence);

CREATE TABLE pending_entries (
    sequence    INTEGER NOT NULL,
    position    INTEGER NOT NULL,
    partition   TEXT NOT NULL,
    name        TEXT NOT NULL,
    digest      BLOB NOT NULL,
    failed      INTEGER NOT NULL,
    description TEXT NOT NULL,
    version_cap INTEGER,
    PRIMARY KEY (sequence, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_entries_by_name ON pending_entries (partition, name, sequence);
CREATE INDEX pending_entries_by_digest ON pending_entries (digest);

CREATE TABLE pending_removals (
    sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    version  INTEGER NOT NULL,
    PRIMARY KEY (sequence, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE contents (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    size   INTEGER NOT NULL,
    bytes  BLOB
) STRICT;

CREATE TABLE unreferenced (
    digest BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE cache (
    key    TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    size   INTEGER NOT NULL,
    used   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cache_by_use ON cache (used);
CREATE INDEX cache_by_digest ON cache (digest);

CREATE TABLE notes (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

PRAGMA application_id = 1346715988;
PRAGMA user_version = 1;
