-- Times are microseconds since 1970, 0 for none. Columns named doc hold JSON.

-- +goose Up
-- Titles in lower case, each once: there are far fewer than incidents.
CREATE TABLE titles (
    num    INTEGER PRIMARY KEY AUTOINCREMENT,
    search TEXT NOT NULL UNIQUE
);

CREATE TABLE incidents (
    num          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    revision     INTEGER NOT NULL,
    fingerprint  TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    severity     TEXT    NOT NULL,
    cause_kind   TEXT    NOT NULL,
    started_at   INTEGER NOT NULL,
    detected_at  INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    occurrence   INTEGER NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    title        INTEGER NOT NULL REFERENCES titles (num),
    ack          TEXT    NOT NULL DEFAULT '',
    -- doc is the incident without evidence, timeline and changes.
    doc          TEXT    NOT NULL
);
CREATE INDEX incidents_detected    ON incidents (detected_at, num);
CREATE INDEX incidents_title       ON incidents (title, detected_at, num);
CREATE INDEX incidents_status      ON incidents (status, detected_at, num);
CREATE INDEX incidents_severity    ON incidents (severity, detected_at, num);
CREATE INDEX incidents_cause_kind  ON incidents (cause_kind, detected_at, num);
CREATE INDEX incidents_fingerprint ON incidents (fingerprint, detected_at, num);
CREATE INDEX incidents_acked       ON incidents (acknowledged, detected_at, num);

-- The part that lists leave out: timeline and changes.
CREATE TABLE incident_details (
    incident INTEGER PRIMARY KEY REFERENCES incidents (num) ON DELETE CASCADE,
    doc      TEXT    NOT NULL
);

CREATE TABLE incident_services (
    service     TEXT    NOT NULL,
    detected_at INTEGER NOT NULL,
    incident    INTEGER NOT NULL REFERENCES incidents (num) ON DELETE CASCADE,
    PRIMARY KEY (service, detected_at, incident)
) WITHOUT ROWID;
CREATE INDEX incident_services_incident ON incident_services (incident);

CREATE TABLE evidence (
    incident    INTEGER NOT NULL REFERENCES incidents (num) ON DELETE CASCADE,
    cause       INTEGER NOT NULL,
    place       INTEGER NOT NULL,
    signal      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    entity_type TEXT    NOT NULL,
    entity_name TEXT    NOT NULL,
    onset       INTEGER NOT NULL,
    deviation   REAL    NOT NULL,
    score       REAL    NOT NULL,
    summary     TEXT    NOT NULL,
    trace_ids   TEXT    NOT NULL,
    PRIMARY KEY (incident, cause, place)
) WITHOUT ROWID;

-- What an incident is known by, for similar ones: the inverted table, and all of an incident's at once.
CREATE TABLE features (
    feature  INTEGER NOT NULL,
    incident INTEGER NOT NULL,
    PRIMARY KEY (feature, incident)
) WITHOUT ROWID;
CREATE TABLE signatures (
    incident   INTEGER PRIMARY KEY REFERENCES incidents (num) ON DELETE CASCADE,
    started_at INTEGER NOT NULL,
    features   BLOB    NOT NULL
);

CREATE TABLE feedback (
    incident INTEGER NOT NULL REFERENCES incidents (num) ON DELETE CASCADE,
    person   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    doc      TEXT    NOT NULL,
    PRIMARY KEY (incident, person)
);

-- What has happened to an incident, besides what it says of itself.
CREATE TABLE history (
    incident TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    actor    TEXT    NOT NULL,
    text     TEXT    NOT NULL,
    ref      TEXT    NOT NULL,
    PRIMARY KEY (incident, at, id)
) WITHOUT ROWID;

CREATE TABLE intents (
    num        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    incident   TEXT    NOT NULL,
    playbook   TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    awaiting   INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    doc        TEXT    NOT NULL
);
CREATE INDEX intents_incident ON intents (incident, num);
CREATE INDEX intents_playbook ON intents (playbook, num);
CREATE INDEX intents_outcome  ON intents (outcome, num);
CREATE INDEX intents_awaiting ON intents (awaiting, num);

CREATE TABLE deliveries (
    num         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    incident    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    queued_at   INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    doc         TEXT    NOT NULL,
    UNIQUE (id, destination)
);
CREATE INDEX deliveries_incident    ON deliveries (incident, num);
CREATE INDEX deliveries_destination ON deliveries (destination, num);
CREATE INDEX deliveries_state       ON deliveries (state, num);

-- The audit: a chain of hashes, of which only the oldest records are ever removed, up to the anchor.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    incident TEXT    NOT NULL,
    intent   TEXT    NOT NULL,
    playbook TEXT    NOT NULL,
    actor    TEXT    NOT NULL,
    text     TEXT    NOT NULL,
    fields   TEXT    NOT NULL,
    hash     TEXT    NOT NULL,
    record   TEXT    UNIQUE
);
CREATE TABLE audit_anchor (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash TEXT    NOT NULL
);
INSERT INTO audit_anchor VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- +goose StatementBegin
CREATE TRIGGER audit_update BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_delete BEFORE DELETE ON audit WHEN OLD.seq > (SELECT seq FROM audit_anchor) BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_insert BEFORE INSERT ON audit
WHEN NEW.seq <> (SELECT COALESCE((SELECT MAX(seq) FROM audit), (SELECT seq FROM audit_anchor)) + 1) BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_anchor_update BEFORE UPDATE ON audit_anchor
WHEN NOT EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq AND hash = NEW.hash) OR NEW.seq <= OLD.seq BEGIN
    SELECT RAISE(ABORT, 'the anchor of the audit only moves on to a record');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_anchor_delete BEFORE DELETE ON audit_anchor BEGIN
    SELECT RAISE(ABORT, 'the anchor of the audit only moves on to a record');
END;
-- +goose StatementEnd

CREATE TABLE silences (
    num      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL UNIQUE,
    start_at INTEGER NOT NULL,
    end_at   INTEGER NOT NULL,
    doc      TEXT    NOT NULL
);
CREATE INDEX silences_end ON silences (end_at);

CREATE TABLE pauses (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    doc TEXT    NOT NULL
);

CREATE TABLE commands (
    num         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    state       TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    lease_until INTEGER NOT NULL DEFAULT 0,
    doc         TEXT    NOT NULL
);
CREATE INDEX commands_state ON commands (state, num);

-- Tokens that were used, by their SHA-256.
CREATE TABLE tokens (
    hash    TEXT    PRIMARY KEY,
    used_at INTEGER NOT NULL
);
CREATE INDEX tokens_used ON tokens (used_at);

CREATE TABLE executors (
    name TEXT    PRIMARY KEY,
    at   INTEGER NOT NULL,
    doc  TEXT    NOT NULL
);

CREATE TABLE elections (
    name   TEXT    PRIMARY KEY,
    leader TEXT    NOT NULL,
    fence  INTEGER NOT NULL,
    until  INTEGER NOT NULL
);

CREATE TABLE claims (
    id      TEXT    PRIMARY KEY,
    owner   TEXT    NOT NULL,
    class   TEXT    NOT NULL,
    weight  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    -- done_at is 0 while it is held.
    done_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX claims_at ON claims (at);
CREATE TABLE claim_locks (
    name  TEXT NOT NULL,
    claim TEXT NOT NULL REFERENCES claims (id) ON DELETE CASCADE,
    PRIMARY KEY (name, claim)
) WITHOUT ROWID;
CREATE INDEX claim_locks_claim ON claim_locks (claim);

CREATE TABLE changes (
    num      INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    incident TEXT    NOT NULL
);
-- The number of the newest change that was removed.
CREATE TABLE changes_removed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    num INTEGER NOT NULL
);
INSERT INTO changes_removed VALUES (1, 0);
