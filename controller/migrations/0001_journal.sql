-- Rollouts, the runs that walked them, and every entry of their journals. Times are milliseconds since 1970.

CREATE TABLE rollout (
    id        TEXT    NOT NULL PRIMARY KEY,
    fleet     TEXT    NOT NULL,
    service   TEXT    NOT NULL,
    release   TEXT,
    operator  TEXT    NOT NULL,
    reason    TEXT,
    inventory TEXT    NOT NULL,
    undo_of   TEXT    REFERENCES rollout (id),
    hosts     INTEGER NOT NULL,
    began     INTEGER NOT NULL,
    aborted   INTEGER NOT NULL DEFAULT 0,
    -- The last column: who reads a list of rollouts does not read through their plans.
    plan      TEXT    NOT NULL
) STRICT;

CREATE INDEX rollout_began ON rollout (began);

CREATE TABLE run (
    rollout  TEXT    NOT NULL REFERENCES rollout (id),
    number   INTEGER NOT NULL,
    operator TEXT    NOT NULL,
    pid      INTEGER NOT NULL,
    began    INTEGER NOT NULL,
    ended    INTEGER,
    exit     INTEGER,
    PRIMARY KEY (rollout, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry (
    rollout   TEXT    NOT NULL REFERENCES rollout (id),
    seq       INTEGER NOT NULL,
    -- 0 for what was written while nobody walked.
    run       INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    host      TEXT,
    body      TEXT    NOT NULL,
    testimony BLOB,
    ending    BLOB,
    PRIMARY KEY (rollout, seq)
) STRICT;

CREATE INDEX entry_host ON entry (rollout, host, seq);

-- Where each host that was asked is, by the entries: kept beside them, so that lists need not read them all.
CREATE TABLE host (
    rollout TEXT    NOT NULL REFERENCES rollout (id),
    name    TEXT    NOT NULL,
    attempt INTEGER NOT NULL,
    -- How often this attempt was asked for: more than once after a crash.
    asks    INTEGER NOT NULL,
    asked   INTEGER,
    settled INTEGER,
    word    TEXT,
    PRIMARY KEY (rollout, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX host_word ON host (rollout, word);
CREATE INDEX host_settled ON host (settled) WHERE word = 'proven';
