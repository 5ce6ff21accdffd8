-- Rights, ownership and releases: what registry 1 left unguarded.

-- == rights: data written by one role is never executed by a more privileged one


-- == ownership: which objects of the catalog are versions of ours


-- == releases: what a mapping and a membership are checked against

-- Whether a retired release may be discarded here: a shared staging database. Set by the first publication alone.
ALTER TABLE procver.project ADD COLUMN trials boolean NOT NULL DEFAULT false;

-- The schema that a bare name means in the release's mapping; null: that of its project, for a release of registry 1.
ALTER TABLE procver.release ADD COLUMN default_schema text;

-- "digest" is procver.release.content: SHA-256, in hex, over the lines of all objects in order, each of name, NUL, version, NUL,
-- fingerprint and LF. A mapping with the same digest holds the same versions.
CREATE OR REPLACE VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, p.dialect, coalesce(r.default_schema, p.default_schema) AS default_schema,
       v.name, v.kind, v.number AS version, v.physical, v.fingerprint, r.content AS digest
FROM procver.release r
JOIN procver.project p ON p.id = r.project_id
JOIN procver.membership m ON m.project_id = r.project_id
                         AND m.since <= r.number AND (m.until IS NULL OR m.until > r.number)
JOIN procver.version v ON v.id = m.version_id;

-- Deletes a release, if it is a trial or was never used; an instance may have come and gone since it was looked at.
CREATE FUNCTION procver.forget_release(release bigint, trial boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM procver.release r
    WHERE r.id = forget_release.release AND (forget_release.trial OR (r.activated_at IS NULL AND r.heard_until IS NULL));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the release was used meanwhile' USING ERRCODE = 'PV001';
    END IF;
END $$;


-- == instances: who may report for which project
