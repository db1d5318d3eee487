-- Times are microseconds since 1970, 0 for none. Columns named doc hold JSON.

-- +goose Up
-- Titles in lower case, each once: there are far fewer than incidents.
CREATE TABLE titles (
    num    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    search TEXT NOT NULL UNIQUE
);

CREATE TABLE incidents (
    num          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    revision     BIGINT NOT NULL,
    fingerprint  TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    severity     TEXT    NOT NULL,
    cause_kind   TEXT    NOT NULL,
    started_at   BIGINT NOT NULL,
    detected_at  BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    occurrence   BIGINT NOT NULL,
    acknowledged BIGINT NOT NULL DEFAULT 0,
    title        BIGINT NOT NULL REFERENCES titles (num),
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
    incident BIGINT PRIMARY KEY REFERENCES incidents (num) ON DELETE CASCADE,
    doc      TEXT    NOT NULL
);

CREATE TABLE incident_services (
    service     TEXT    NOT NULL,
    detected_at BIGINT NOT NULL,
    incident    BIGINT NOT NULL REFERENCES incidents (num) ON DELETE CASCADE,
    PRIMARY KEY (service, detected_at, incident)
);
CREATE INDEX incident_services_incident ON incident_services (incident);

CREATE TABLE evidence (
    incident    BIGINT NOT NULL REFERENCES incidents (num) ON DELETE CASCADE,
    cause       BIGINT NOT NULL,
    place       BIGINT NOT NULL,
    signal      TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    entity_type TEXT    NOT NULL,
    entity_name TEXT    NOT NULL,
    onset       BIGINT NOT NULL,
    deviation   DOUBLE PRECISION    NOT NULL,
    score       DOUBLE PRECISION    NOT NULL,
    summary     TEXT    NOT NULL,
    trace_ids   TEXT    NOT NULL,
    PRIMARY KEY (incident, cause, place)
);

-- What an incident is known by, for similar ones: the inverted table, and all of an incident's at once.
CREATE TABLE features (
    feature  BIGINT NOT NULL,
    incident BIGINT NOT NULL,
    PRIMARY KEY (feature, incident)
);
CREATE TABLE signatures (
    incident   BIGINT PRIMARY KEY REFERENCES incidents (num) ON DELETE CASCADE,
    started_at BIGINT NOT NULL,
    features   BYTEA    NOT NULL
);

CREATE TABLE feedback (
    incident BIGINT NOT NULL REFERENCES incidents (num) ON DELETE CASCADE,
    person   TEXT    NOT NULL,
    at       BIGINT NOT NULL,
    doc      TEXT    NOT NULL,
    PRIMARY KEY (incident, person)
);

-- What has happened to an incident, besides what it says of itself.
CREATE TABLE history (
    incident TEXT    NOT NULL,
    at       BIGINT NOT NULL,
    id       TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    actor    TEXT    NOT NULL,
    text     TEXT    NOT NULL,
    ref      TEXT    NOT NULL,
    PRIMARY KEY (incident, at, id)
);

CREATE TABLE intents (
    num        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    incident   TEXT    NOT NULL,
    playbook   TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    awaiting   BIGINT NOT NULL,
    ended      BIGINT NOT NULL,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    doc        TEXT    NOT NULL
);
CREATE INDEX intents_incident ON intents (incident, num);
CREATE INDEX intents_playbook ON intents (playbook, num);
CREATE INDEX intents_outcome  ON intents (outcome, num);
CREATE INDEX intents_awaiting ON intents (awaiting, num);

CREATE TABLE deliveries (
    num         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    incident    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    queued_at   BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    doc         TEXT    NOT NULL,
    UNIQUE (id, destination)
);
CREATE INDEX deliveries_incident    ON deliveries (incident, num);
CREATE INDEX deliveries_destination ON deliveries (destination, num);
CREATE INDEX deliveries_state       ON deliveries (state, num);

-- The audit: a chain of hashes, of which only the oldest records are ever removed, up to the anchor.
CREATE TABLE audit (
    seq      BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
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
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    seq  BIGINT NOT NULL,
    hash TEXT    NOT NULL
);
INSERT INTO audit_anchor VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- +goose StatementBegin
CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.seq <= (SELECT seq FROM audit_anchor) THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'INSERT' AND NEW.seq = COALESCE((SELECT MAX(seq) FROM audit), (SELECT seq FROM audit_anchor)) + 1 THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_guard BEFORE INSERT OR UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_guard();

-- +goose StatementBegin
CREATE FUNCTION audit_anchor_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.seq > OLD.seq AND EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq AND hash = NEW.hash) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the anchor of the audit only moves on to a record';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_anchor_guard BEFORE UPDATE OR DELETE ON audit_anchor FOR EACH ROW EXECUTE FUNCTION audit_anchor_guard();

-- +goose StatementBegin
CREATE FUNCTION audit_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_no_truncate();
CREATE TRIGGER audit_anchor_no_truncate BEFORE TRUNCATE ON audit_anchor FOR EACH STATEMENT EXECUTE FUNCTION audit_no_truncate();

CREATE TABLE silences (
    num      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    start_at BIGINT NOT NULL,
    end_at   BIGINT NOT NULL,
    doc      TEXT    NOT NULL
);
CREATE INDEX silences_end ON silences (end_at);

CREATE TABLE pauses (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    doc TEXT    NOT NULL
);

CREATE TABLE commands (
    num         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    state       TEXT    NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    lease_until BIGINT NOT NULL DEFAULT 0,
    doc         TEXT    NOT NULL
);
CREATE INDEX commands_state ON commands (state, num);

-- Tokens that were used, by their SHA-256.
CREATE TABLE tokens (
    hash    TEXT    PRIMARY KEY,
    used_at BIGINT NOT NULL
);
CREATE INDEX tokens_used ON tokens (used_at);

CREATE TABLE executors (
    name TEXT    PRIMARY KEY,
    at   BIGINT NOT NULL,
    doc  TEXT    NOT NULL
);

CREATE TABLE elections (
    name   TEXT    PRIMARY KEY,
    leader TEXT    NOT NULL,
    fence  BIGINT NOT NULL,
    until  BIGINT NOT NULL
);

CREATE TABLE claims (
    id      TEXT    PRIMARY KEY,
    owner   TEXT    NOT NULL,
    class   TEXT    NOT NULL,
    weight  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    -- done_at is 0 while it is held.
    done_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX claims_at ON claims (at);
CREATE TABLE claim_locks (
    name  TEXT NOT NULL,
    claim TEXT NOT NULL REFERENCES claims (id) ON DELETE CASCADE,
    PRIMARY KEY (name, claim)
);
CREATE INDEX claim_locks_claim ON claim_locks (claim);

CREATE TABLE changes (
    num      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       BIGINT NOT NULL,
    kind     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    incident TEXT    NOT NULL
);
-- The number of the newest change that was removed.
CREATE TABLE changes_removed (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    num BIGINT NOT NULL
);
INSERT INTO changes_removed VALUES (1, 0);
