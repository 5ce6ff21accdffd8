-- The registry: what procver published into this database, and what still needs it.
-- Everything that writes goes through procver.hold(): one writer per project at a time.

CREATE TABLE procver.project (
    id              int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE,
    dialect         text NOT NULL DEFAULT 'postgresql',
    default_schema  text NOT NULL,
    -- counts, with those of its lanes, every committed change of this project: a plan made at one generation is refused at another
    generation      bigint NOT NULL DEFAULT 0,
    -- the number of the newest release; see procver.membership
    last_release    bigint NOT NULL DEFAULT 0
);

-- Where a large publication creates versions over several connections: each object's versions in the lane that the hash of
-- its name gives, so that nobody creates the same one in another.
CREATE TABLE procver.lane (
    project_id      int NOT NULL REFERENCES procver.project,
    number          int NOT NULL,
    generation      bigint NOT NULL,
    PRIMARY KEY (project_id, number)
);

CREATE TABLE procver.version (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id      int NOT NULL REFERENCES procver.project,
    name            text NOT NULL,              -- logical name, as in procver.lock
    kind            text NOT NULL,
    number          int NOT NULL CHECK (number > 0),
    fingerprint     text NOT NULL,
    shape           text NOT NULL,              -- hash of its own text alone: tells "changed" from "dependency"
    source_digest   text NOT NULL,              -- hash of the file: tells a cosmetic change
    source_path     text NOT NULL,
    schema          text NOT NULL,              -- physical name, unquoted
    leaf            text NOT NULL,
    physical        text NOT NULL,              -- physical name, quoted where needed
    definition      json NOT NULL,              -- [[text, role], ...] as sent
    seal            text NOT NULL,              -- hash of fingerprint and definition: what a restore checks
    requires        json NOT NULL,              -- [[name, number], ...] of the versions that it refers to
    state           text NOT NULL CHECK (state IN ('present', 'condemned', 'dropped')),
    digest          text,                       -- what the catalog said right after its creation, after the server's major version
    privileges      jsonb,                      -- owner, grants and comments: after creation; before its drop
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by      text NOT NULL DEFAULT session_user,
    condemned_at    timestamptz,
    quarantined_at  timestamptz,                -- since when nobody but its owner may use it
    dropped_at      timestamptz,
    UNIQUE (project_id, name, number)
);
CREATE INDEX version_physical ON procver.version (schema, leaf);

CREATE TABLE procver.release (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id      int NOT NULL REFERENCES procver.project,
    name            text NOT NULL,
    number          bigint NOT NULL,            -- its place in the order of publication
    content         text NOT NULL,              -- hash of its versions: same name, same content is a no-op
    published_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_by    text NOT NULL DEFAULT session_user,
    activated_at    timestamptz,
    retired_at      timestamptz,
    heard_until     timestamptz,                -- the last heartbeat of instances that are on it no longer
    UNIQUE (project_id, name),
    UNIQUE (project_id, number)
);

-- A version belongs to every release whose number lies in [since, until): the registry grows with what
-- changes from one release to the next, not with releases times objects.
CREATE TABLE procver.membership (
    project_id      int NOT NULL,               -- that of its version, which refers to it
    version_id      bigint NOT NULL REFERENCES procver.version ON DELETE CASCADE,
    since           bigint NOT NULL,
    until           bigint,
    PRIMARY KEY (version_id, since)
);
CREATE INDEX membership_open ON procver.membership (project_id) WHERE until IS NULL;

-- Where copies of the app run: what people declare and what heartbeats show, kept apart. One row for each release that an
-- instance was declared on or heard from. A heartbeat is the only change of the registry that does not go through procver.hold.
CREATE TABLE procver.instance (
    project_id      int NOT NULL REFERENCES procver.project,
    name            text NOT NULL,
    release_id      bigint NOT NULL REFERENCES procver.release ON DELETE CASCADE,
    declared_at     timestamptz,                -- `release activate --instance`
    last_seen_at    timestamptz,                -- its last heartbeat; null: none yet
    left_at         timestamptz,                -- when it said goodbye, or was last heard from before it moved on
    returned_at     timestamptz,                -- when it was last heard from again after it had been heard from elsewhere
    PRIMARY KEY (project_id, name, release_id)
) WITH (fillfactor = 50);                       -- a heartbeat is then written beside the one before it
CREATE INDEX instance_release ON procver.instance (release_id);

-- A name under which apps that follow it find the release to run. Only an active release is pointed to.
CREATE TABLE procver.channel (
    project_id      int NOT NULL REFERENCES procver.project,
    name            text NOT NULL,
    release_id      bigint NOT NULL REFERENCES procver.release,
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by      text NOT NULL DEFAULT session_user,
    PRIMARY KEY (project_id, name)
);
CREATE INDEX channel_target ON procver.channel (release_id);

CREATE TABLE procver.event (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id      int NOT NULL REFERENCES procver.project,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor           text NOT NULL DEFAULT session_user,
    client          text DEFAULT host(inet_client_addr()),
    action          text NOT NULL,
    subject         text NOT NULL,
    detail          jsonb
);
CREATE INDEX event_project ON procver.event (project_id, id);
CREATE INDEX event_time ON procver.event (project_id, at);
CREATE INDEX event_subject ON procver.event (project_id, subject);
CREATE INDEX event_detail ON procver.event USING gin (detail jsonb_path_ops);

-- The last run of `gc --apply`: a run that found nothing leaves no event, but this. No plan depends on it.
CREATE TABLE procver.collection (
    project_id      int PRIMARY KEY REFERENCES procver.project,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor           text NOT NULL DEFAULT session_user,
    client          text DEFAULT host(inet_client_addr()),
    dropped         int NOT NULL,
    condemned       int NOT NULL,
    kept            int NOT NULL
);

-- How often versions were called, as the server's counters said when they were sampled. The last call that is known of came
-- after called_since and not after last_called_at. No foreign key: a sample waits for nobody, and is tidied up by the next.
CREATE TABLE procver.usage (
    version_id      bigint PRIMARY KEY,
    source          text NOT NULL,
    calls           bigint NOT NULL,
    called_since    timestamptz,
    last_called_at  timestamptz,
    sampled_at      timestamptz NOT NULL
);

-- The same as it is now: a counter that differs from its sample tells of calls since then, one that was set back too.
CREATE VIEW procver.calls AS
SELECT v.project_id, v.id AS version_id, n.calls,
       CASE WHEN n.calls NOT IN (0, u.calls) THEN u.sampled_at ELSE u.called_since END AS called_since,
       CASE WHEN n.calls NOT IN (0, u.calls) THEN statement_timestamp() ELSE u.last_called_at END AS last_called_at
FROM procver.version v
CROSS JOIN LATERAL (
    SELECT coalesce(sum(pg_catalog.pg_stat_get_function_calls(p.oid)), 0)::bigint AS calls
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    WHERE p.proname = v.leaf AND n.nspname = v.schema
) n
LEFT JOIN procver.usage u ON u.version_id = v.id
WHERE v.state <> 'dropped' AND v.kind IN ('function', 'procedure');

CREATE VIEW procver.dependency AS
SELECT v.id AS version_id, r.id AS requires_id
FROM procver.version v
CROSS JOIN LATERAL json_array_elements(v.requires) e
JOIN procver.version r ON r.project_id = v.project_id AND r.name = e ->> 0 AND r.number = (e ->> 1)::int;

CREATE VIEW procver.mapping AS
SELECT p.name AS project, r.name AS release, p.dialect, p.default_schema,
       v.name, v.kind, v.number AS version, v.physical, v.fingerprint
FROM procver.release r
JOIN procver.project p ON p.id = r.project_id
JOIN procver.membership m ON m.project_id = r.project_id
                         AND m.since <= r.number AND (m.until IS NULL OR m.until > r.number)
JOIN procver.version v ON v.id = m.version_id;

-- What an app that follows a channel asks for.
CREATE VIEW procver.channel_release AS
SELECT p.name AS project, c.name AS channel, r.name AS release, r.id AS release_id, c.changed_at
FROM procver.channel c
JOIN procver.project p ON p.id = c.project_id
JOIN procver.release r ON r.id = c.release_id;

-- Opens the one writing transaction of a project, if nothing was written since its plan was made.
CREATE FUNCTION procver.hold(project int, expected bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    -- Waits for all that hold the project, in lanes too; and what these have committed, the next statement sees.
    UPDATE procver.project p SET generation = p.generation + 1 WHERE p.id = hold.project
    RETURNING p.generation - 1 INTO found;
    found := found + (SELECT coalesce(sum(l.generation), 0) FROM procver.lane l WHERE l.project_id = hold.project);
    IF found IS DISTINCT FROM hold.expected THEN
        RAISE EXCEPTION 'the registry was changed by another procver command' USING ERRCODE = 'PV001';
    END IF;
END $$;

-- The same for one of several that create versions together, each in its lane; everybody else waits until none is left, and they
-- for everybody else.
CREATE FUNCTION procver.hold_lane(project int, expected bigint, lane int, in_lane bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM procver.project p WHERE p.id = hold_lane.project AND p.generation = hold_lane.expected FOR SHARE;
    IF FOUND THEN
        INSERT INTO procver.lane AS l (project_id, number, generation)
        VALUES (hold_lane.project, hold_lane.lane, 1)
        ON CONFLICT (project_id, number) DO UPDATE SET generation = l.generation + 1
        WHERE l.generation = hold_lane.in_lane;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the registry was changed by another procver command' USING ERRCODE = 'PV001';
    END IF;
END $$;

-- A heartbeat: "this instance runs this release now"; `leaving` says that it no longer does. The app needs no other right than to
-- execute this. `project` may be null where no two projects have a release of that name. The server's clock alone counts, and a
-- clock that jumps back takes nothing away. Who moves on is still on the earlier release for a quarter of an hour: calls may be under way.
CREATE FUNCTION procver.beat(project text, release text, instance text, leaving boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'                         -- longer than a drop waits, see procver.require_silence
AS $$
DECLARE
    target record;
    moved timestamptz := clock_timestamp() - interval '15 minutes';
BEGIN
    IF btrim(coalesce(instance, '')) = '' OR length(instance) > 200 OR instance ~ '[\u0001-\u001f\u007f-\u009f]' THEN
        RAISE EXCEPTION '% cannot be an instance name', coalesce(quote_literal(left(instance, 200)), 'null')
            USING ERRCODE = 'PV005', HINT = 'use 1 to 200 printable characters, such as a host name: web-1';
    END IF;
    SELECT count(*) AS matches, min(r.project_id) AS project_id, min(r.id) AS id INTO target
    FROM procver.release r
    JOIN procver.project p ON p.id = r.project_id
    WHERE r.name = beat.release AND (beat.project IS NULL OR p.name = beat.project);
    IF target.matches > 1 THEN
        RAISE EXCEPTION 'several projects have a release %', quote_literal(release)
            USING ERRCODE = 'PV004', HINT = 'say which project';
    ELSIF target.matches = 0 THEN
        RAISE EXCEPTION 'no release % of project % in this database', quote_literal(coalesce(release, '')), coalesce(quote_literal(project), '(any)')
            USING ERRCODE = 'PV004', HINT = 'publish it here first, or correct the names: procver release list';
    END IF;
    IF leaving THEN
        DELETE FROM procver.instance i
        WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id = target.id AND i.declared_at IS NULL;
        UPDATE procver.instance i SET left_at = clock_timestamp(), returned_at = NULL
        WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id = target.id AND i.last_seen_at IS NOT NULL;
        -- The table of instances first, then the release: in the order of all that also listens. Whoever holds the release
        -- now is not waited for: another goodbye says the same.
        UPDATE procver.release r SET heard_until = clock_timestamp()
        WHERE r.id IN (SELECT s.id FROM procver.release s WHERE s.id = target.id FOR NO KEY UPDATE SKIP LOCKED);
    ELSE
        INSERT INTO procver.instance AS i (project_id, name, release_id, last_seen_at)
        VALUES (target.project_id, beat.instance, target.id, clock_timestamp())
        ON CONFLICT (project_id, name, release_id) DO UPDATE
        SET returned_at = CASE WHEN EXISTS (
                SELECT FROM procver.instance o
                WHERE o.project_id = i.project_id AND o.name = i.name AND o.release_id <> i.release_id
                  AND o.left_at IS NULL AND o.last_seen_at > i.last_seen_at)
                THEN clock_timestamp() ELSE i.returned_at END,
            last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at), left_at = NULL;
    END IF;
    -- Two that were given the same name must not wait for each other in a circle.
    WITH former AS (
        SELECT i.release_id FROM procver.instance i
        WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id <> target.id
          AND i.left_at IS NULL AND i.last_seen_at < moved
        FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM procver.instance i USING former f
        WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id = f.release_id AND i.declared_at IS NULL
        RETURNING i.release_id, i.last_seen_at
    ), heard AS (
        UPDATE procver.release r SET heard_until = greatest(r.heard_until, g.last_seen_at)
        FROM gone g
        WHERE r.id = g.release_id AND r.id IN (
            SELECT s.id FROM procver.release s WHERE s.id IN (SELECT f.release_id FROM former f) FOR NO KEY UPDATE SKIP LOCKED)
    )
    UPDATE procver.instance i SET left_at = i.last_seen_at, returned_at = NULL
    FROM former f
    WHERE i.project_id = target.project_id AND i.name = beat.instance AND i.release_id = f.release_id AND i.declared_at IS NOT NULL;
END $$;
REVOKE ALL ON FUNCTION procver.beat FROM PUBLIC;

-- The last step of a drop: since the plan was made no instance was heard from on a release that it took for dead. Heartbeats under
-- way are waited for, and later ones wait for the end of this transaction, which is near.
CREATE FUNCTION procver.require_silence(project int, idle interval, heard bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER               -- a lock asks for more rights than one who only collects has
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    BEGIN
        LOCK TABLE procver.instance IN SHARE ROW EXCLUSIVE MODE;
    EXCEPTION WHEN lock_not_available THEN
        RAISE EXCEPTION 'a heartbeat is under way in a transaction that does not end'
            USING ERRCODE = '55P03', HINT = 'send heartbeats in transactions of their own, then run the same command again';
    END;
    IF EXISTS (SELECT FROM procver.instance i
               WHERE i.project_id = require_silence.project AND i.left_at IS NULL AND clock_timestamp() - i.last_seen_at < idle
                 AND i.release_id <> ALL (heard)) THEN
        RAISE EXCEPTION 'an instance was heard from meanwhile' USING ERRCODE = 'PV001';
    END IF;
END $$;
REVOKE ALL ON FUNCTION procver.require_silence FROM PUBLIC;

-- What a catalog holds of managed objects: [{"schema", "leaf", "kind"}] in, one row per overload or relation out.
-- The grants are those in force: "never granted" and "granted by default" read alike.
-- The digest tells that an object was altered. A view's stored rule names others by OID, and so does not survive a dump: its
-- digest begins with its own OID, and is not compared where that is another one. It looks for what somebody did without thinking of
-- us, not for an attack on the hash: 64 bits of the one that is made for speed, and of which the server's next major version may change.
CREATE FUNCTION procver.parts(work jsonb)
RETURNS TABLE (schema text, leaf text, kind text, objid oid, part text, owner oid, acl aclitem[], digest text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp      -- types are named in full, whoever asks
AS $$
    WITH item AS MATERIALIZED (
        SELECT n.oid AS namespace, x.schema, x.leaf, x.kind
        FROM jsonb_to_recordset(work) AS x(schema text, leaf text, kind text)
        JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema
    )
    SELECT i.schema, i.leaf, i.kind, p.oid, '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')', p.proowner,
           coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)),
           to_hex(pg_catalog.hashtextextended(concat_ws('|', p.prosrc,
               CASE WHEN p.prosqlbody IS NOT NULL THEN pg_catalog.pg_get_function_sqlbody(p.oid) END,
               p.prokind, p.prosecdef, p.proleakproof, p.proisstrict, p.proretset, p.provolatile, p.proparallel,
               p.procost, p.prorows, p.proconfig::text, pg_catalog.format_type(p.prorettype, NULL),
               p.proargnames::text, p.proargmodes::text) COLLATE "C", 0))
    FROM item i
    JOIN pg_catalog.pg_proc p ON p.proname = i.leaf AND p.pronamespace = i.namespace
    WHERE i.kind IN ('function', 'procedure') AND p.prokind = CASE i.kind WHEN 'procedure' THEN 'p' ELSE p.prokind END
    UNION ALL
    SELECT i.schema, i.leaf, i.kind, c.oid, '', c.relowner, coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)),
           c.oid || ':' || to_hex(pg_catalog.hashtextextended(concat_ws('|', c.relkind, c.reloptions::text, r.ev_action::text) COLLATE "C", 0))
    FROM item i
    JOIN pg_catalog.pg_class c ON c.relname = i.leaf AND c.relnamespace = i.namespace
    LEFT JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
    WHERE i.kind IN ('view', 'materialized_view') AND c.relkind = CASE i.kind WHEN 'view' THEN 'v' ELSE 'm' END::"char"
$$;

-- Grants as data: [[grantee, privilege, grantable], ...], a null grantee being PUBLIC.
CREATE FUNCTION procver.acl_json(acl aclitem[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(jsonb_build_array(
               CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END,
               a.privilege_type, a.is_grantable) ORDER BY a.grantee, a.privilege_type)
    FROM pg_catalog.aclexplode(acl) a
$$;

-- What the catalog says of objects: a digest of their definition; owner, grants and comments as data, which `procver.grant_as` puts back.
CREATE FUNCTION procver.looks(work jsonb) RETURNS TABLE (schema text, leaf text, digest text, privileges jsonb)
LANGUAGE sql STABLE AS $$
    WITH part AS MATERIALIZED (
        SELECT p.*, d.description FROM procver.parts(work) p
        LEFT JOIN pg_catalog.pg_description d ON d.objoid = p.objid AND d.objsubid = 0
             AND d.classoid = CASE p.part WHEN '' THEN 'pg_catalog.pg_class' ELSE 'pg_catalog.pg_proc' END::regclass
    ), acl AS MATERIALIZED (  -- most objects have the same grants
        SELECT a.acl, procver.acl_json(a.acl) AS exploded FROM (SELECT DISTINCT acl FROM part) a
    ), columns AS (
        SELECT c.objid, jsonb_object_agg(c.attname, jsonb_build_object('comment', c.description, 'acl', procver.acl_json(c.attacl))) AS columns
        FROM (SELECT p.objid, a.attname, a.attacl, d.description
              FROM part p
              JOIN pg_catalog.pg_attribute a ON a.attrelid = p.objid AND a.attnum > 0 AND NOT a.attisdropped
              LEFT JOIN pg_catalog.pg_description d ON d.objoid = p.objid AND d.objsubid = a.attnum
                   AND d.classoid = 'pg_catalog.pg_class'::regclass
                   AND EXISTS (SELECT FROM pg_catalog.pg_description e WHERE e.objoid = p.objid AND e.objsubid > 0)
              WHERE p.part = '' AND (a.attacl IS NOT NULL OR d.description IS NOT NULL)) c
        GROUP BY c.objid
    )
    SELECT p.schema, p.leaf, string_agg(p.digest, ',' ORDER BY p.part), jsonb_agg(jsonb_build_object(
        'part', p.part, 'owner', pg_catalog.pg_get_userbyid(p.owner), 'comment', p.description,
        'acl', a.exploded, 'columns', c.columns) ORDER BY p.part)
    FROM part p
    JOIN acl a ON a.acl = p.acl
    LEFT JOIN columns c ON c.objid = p.objid
    GROUP BY p.schema, p.leaf
$$;

-- Makes the grants on one thing exactly `wanted` ([[grantee, privilege, grantable], ...]), `thing` being the
-- text that follows ON. Roles that no longer exist are passed over.
CREATE FUNCTION procver.set_acl(thing text, owner oid, acl aclitem[], wanted jsonb, columns text DEFAULT '')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT DISTINCT a.grantee FROM pg_catalog.aclexplode(acl) a WHERE a.grantee <> owner
    LOOP
        EXECUTE format('REVOKE ALL %s ON %s FROM %s', columns, thing,
            CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(item.grantee)) END);
    END LOOP;
    FOR item IN
        SELECT w ->> 0 AS grantee, string_agg(format('%s %s', w ->> 1, columns), ', ' ORDER BY w ->> 1) AS privileges,
               (w ->> 2)::boolean AS grantable
        FROM jsonb_array_elements(CASE jsonb_typeof(wanted) WHEN 'array' THEN wanted ELSE '[]' END) w
        WHERE w ->> 0 IS NULL
           OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = w ->> 0 AND r.oid <> owner)
        GROUP BY w ->> 0, (w ->> 2)::boolean
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s%s', item.privileges, thing, coalesce(quote_ident(item.grantee), 'PUBLIC'),
            CASE WHEN item.grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;

-- Comments on one thing, if it has none yet or is to be `wholly` as given.
CREATE FUNCTION procver.set_comment(thing text, wanted text, wholly boolean, present text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF present IS DISTINCT FROM wanted AND (wholly OR present IS NULL) THEN
        EXECUTE format('COMMENT ON %s IS %L', thing, wanted);
    END IF;
END $$;

-- What all overloads in `given` have: never a grant, PUBLIC's least of all, that was taken from one of them.
CREATE FUNCTION procver.common(given jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object(
        'owner', CASE WHEN count(DISTINCT g ->> 'owner') = 1 THEN min(g ->> 'owner') END,
        'comment', CASE WHEN count(*) = 1 THEN min(g ->> 'comment') END,
        'acl', (SELECT jsonb_agg(jsonb_build_array(c.grantee, c.privilege, c.grantable))
                FROM (SELECT a -> 0 AS grantee, a -> 1 AS privilege, bool_and((a ->> 2)::boolean) AS grantable
                      FROM jsonb_array_elements(given) o
                      CROSS JOIN LATERAL jsonb_array_elements(CASE jsonb_typeof(o -> 'acl') WHEN 'array' THEN o -> 'acl' ELSE '[]' END) a
                      GROUP BY 1, 2
                      HAVING count(DISTINCT o ->> 'part') = jsonb_array_length(given)) c))
    FROM jsonb_array_elements(given) g
    HAVING count(*) > 0
$$;

-- Gives one object the owner, grants and comments in `given` (as made by procver.looks); `exactly`, if it is not null,
-- takes the place of the grants. An overload that `given` does not know takes what all of the others have. A comment that is
-- there already stays, unless the object is to be `wholly` as given: a restored one.
CREATE FUNCTION procver.grant_as(target jsonb, given jsonb, exactly jsonb, wholly boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    part record;
    source jsonb;
    common jsonb := procver.common(given);
    thing text;
    word text;
    item record;
BEGIN
    FOR part IN SELECT p.*, count(*) OVER () AS parts FROM procver.parts(jsonb_build_array(target)) p LOOP
        source := (SELECT g FROM jsonb_array_elements(given) g WHERE g ->> 'part' = part.part);
        IF source IS NULL THEN
            source := CASE WHEN part.parts = 1 THEN common ELSE common - 'comment' END;
        END IF;
        CONTINUE WHEN source IS NULL AND exactly IS NULL;
        IF part.part = '' THEN
            word := CASE part.kind WHEN 'materialized_view' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END;
            thing := format('%I.%I', part.schema, part.leaf);
        ELSE
            word := upper(part.kind);
            thing := part.objid::regprocedure::text;
        END IF;
        IF pg_catalog.pg_get_userbyid(part.owner) <> source ->> 'owner'
           AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = source ->> 'owner') THEN
            EXECUTE format('ALTER %s %s OWNER TO %I', word, thing, source ->> 'owner');
            SELECT p.owner, p.acl INTO part.owner, part.acl
            FROM procver.parts(jsonb_build_array(target)) p WHERE p.objid = part.objid;
        END IF;
        PERFORM procver.set_acl(CASE part.part WHEN '' THEN thing ELSE word || ' ' || thing END,
                                part.owner, part.acl, coalesce(exactly, source -> 'acl'));
        PERFORM procver.set_comment(word || ' ' || thing, source ->> 'comment', wholly,
            pg_catalog.obj_description(part.objid, CASE part.part WHEN '' THEN 'pg_class' ELSE 'pg_proc' END));
        FOR item IN
            SELECT a.attname, a.attacl, c.value, pg_catalog.col_description(a.attrelid, a.attnum) AS comment
            FROM pg_catalog.pg_attribute a
            LEFT JOIN jsonb_each(CASE jsonb_typeof(source -> 'columns') WHEN 'object' THEN source -> 'columns' ELSE '{}' END) c
                   ON c.key = a.attname
            WHERE part.part = '' AND a.attrelid = part.objid AND a.attnum > 0 AND NOT a.attisdropped
              AND (c.key IS NOT NULL OR wholly)
        LOOP
            PERFORM procver.set_acl(thing, part.owner, item.attacl, CASE WHEN exactly IS NULL THEN item.value -> 'acl' END,
                                    format('(%I)', item.attname));
            PERFORM procver.set_comment(format('COLUMN %s.%I', thing, item.attname), item.value ->> 'comment', wholly, item.comment);
        END LOOP;
    END LOOP;
END $$;

-- Carries privileges over to new objects. Each item of `work` names its target {"schema", "leaf", "kind"} and what it takes:
-- "given" (privileges as data) or "like" (an object to copy from), "exactly" ([[grantee, privilege, grantable], ...]) in place of
-- the grants of these, and whether to take all of it, "wholly", comments that are there already included.
CREATE FUNCTION procver.carry(work jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    item record;
    given jsonb;
BEGIN
    FOR item IN SELECT * FROM jsonb_to_recordset(work) AS x(target jsonb, given jsonb, "like" jsonb, exactly jsonb, wholly boolean) LOOP
        given := item.given;
        IF given IS NULL AND item."like" IS NOT NULL THEN
            SELECT p.privileges INTO given FROM procver.looks(jsonb_build_array(item."like")) p;
        END IF;
        IF given IS NOT NULL OR item.exactly IS NOT NULL THEN
            PERFORM procver.grant_as(item.target, given, item.exactly, coalesce(item.wholly, false));
        END IF;
    END LOOP;
END $$;

-- The last look before a release is recorded: every version of it must be in the catalog.
CREATE FUNCTION procver.require_present(versions jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    missing text;
BEGIN
    SELECT string_agg(x.physical, ', ') INTO missing
    FROM jsonb_to_recordset(versions) AS x(schema text, leaf text, physical text, routine boolean)
    LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = x.schema
    WHERE NOT CASE WHEN x.routine
                   THEN EXISTS (SELECT FROM pg_catalog.pg_proc c WHERE c.proname = x.leaf AND c.pronamespace = n.oid)
                   ELSE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relname = x.leaf AND c.relnamespace = n.oid) END;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'versions vanished while they were published: %', missing USING ERRCODE = 'PV001';
    END IF;
END $$;

-- Several statements as one. If one is refused they are sent again one by one: the server then says which.
CREATE FUNCTION procver.execute(statements json) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    FOR statement IN SELECT json_array_elements_text(statements) LOOP
        EXECUTE statement;
    END LOOP;
END $$;

-- Drops one overload (or, without arguments, the view) of a version that is condemned or was marked as dropped just now, as the
-- registry's owner: a role that may collect need not own what it collects. The arguments are only compared, never executed.
CREATE FUNCTION procver.drop_part(version bigint, arguments text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    statement text;
BEGIN
    SELECT format('DROP %s %s', upper(replace(p.kind, '_', ' ')),
                  CASE p.part WHEN '' THEN format('%I.%I', p.schema, p.leaf)
                              ELSE format('%I.%I(%s)', p.schema, p.leaf, pg_get_function_identity_arguments(p.objid)) END)
    INTO statement
    FROM procver.version v
    CROSS JOIN LATERAL procver.parts(jsonb_build_array(jsonb_build_object('schema', v.schema, 'leaf', v.leaf, 'kind', v.kind))) p
    WHERE v.id = drop_part.version AND v.state <> 'present'
      AND (p.part = '' OR pg_get_function_identity_arguments(p.objid) = arguments);
    IF statement IS NULL THEN
        RAISE EXCEPTION 'permission denied to drop version %: it is not condemned', version USING ERRCODE = '42501';
    END IF;
    EXECUTE statement;
END $$;
REVOKE ALL ON FUNCTION procver.drop_part(bigint, text) FROM PUBLIC;
