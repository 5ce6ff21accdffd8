-- Rights, ownership and releases: what registry 1 left unguarded.

-- == rights: data written by one role is never executed by a more privileged one


-- == ownership: which objects of the catalog are versions of ours


-- == releases: what a mapping and a membership are checked against

-- Whether a retired release may be discarded here: a shared staging database. Set by the first publication alone.
ALTER TABLE procver.project ADD trials bit DEFAULT 0 NOT NULL;
GO
-- The schema that a bare name means in the release's mapping; NULL: that of its project, for a release of registry 1.
ALTER TABLE procver.release ADD default_schema nvarchar(128) NULL;
GO
-- "digest" is procver.release.content: SHA-256, in hex, over the lines of all objects in order, each of name, NUL, version, NUL,
-- fingerprint and LF. A mapping with the same digest holds the same versions.
-- only: sqlserver
ALTER VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, dialect, COALESCE(r.default_schema, p.default_schema) AS default_schema,
       v.name, kind, v.number AS version, physical, fingerprint, content AS digest
FROM procver.release AS r
JOIN procver.project AS p ON p.id = r.project_id
JOIN procver.membership AS m ON m.project_id = r.project_id AND since <= r.number AND (until IS NULL OR until > r.number)
JOIN procver.version AS v ON v.id = version_id;
GO
-- only: babelfish
DROP VIEW procver.mapping;
GO
-- only: babelfish
CREATE VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, dialect, COALESCE(r.default_schema, p.default_schema) AS default_schema,
       v.name, kind, v.number AS version, physical, fingerprint, content AS digest
FROM procver.release AS r
JOIN procver.project AS p ON p.id = r.project_id
JOIN procver.membership AS m ON m.project_id = r.project_id AND since <= r.number AND (until IS NULL OR until > r.number)
JOIN procver.version AS v ON v.id = version_id;
GO


-- == instances: who may report for which project
