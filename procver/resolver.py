"""In the app: logical name to physical name, for one release.

Standard library only, and cheap to import: `json` and `difflib` are loaded when they are needed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from procver.errors import DatabaseError, FindingsError, UnknownNameError, UsageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Self

    from procver.following import Following

FORMAT = 1
"""The newest mapping format that this resolver reads."""

_REMAKE = "make it anew with: procver map --release NAME --format json -o FILE"


class Resolver(Mapping[str, str]):
    """The mapping of one release: ``resolver['app.fn']`` is ``'app.fn_3'``.

    A name without a schema means the default schema; on SQL Server case does not matter. Physical
    names come out quoted where they need it.

    Attributes:
        release: name of the release.
        dialect: ``postgresql`` or ``mssql``.
        default_schema: the schema that a bare name means.
        project: the project that the release belongs to; empty where that is not known.
        digest: the release's digest; empty where that is not known.
    """

    __slots__ = (
        "_known", "_objects", "_rows", "default_schema", "dialect", "digest", "project", "release",
    )  # fmt: skip

    def __init__(
        self,
        release: str,
        dialect: str,
        objects: Mapping[str, tuple[str, str]],
        *,
        default_schema: str = "",
        project: str = "",
        digest: str = "",
    ) -> None:
        """Make a resolver of rows; most apps want `load` or `from_database`.

        Args:
            release: name of the release.
            dialect: ``postgresql`` or ``mssql``.
            objects: kind and physical name by logical name.
            default_schema: the schema that a bare name means; none when empty.
            project: the project that the release belongs to; empty where that is not known.
            digest: the release's digest; empty where that is not known.
        """
        self.release = release
        self.dialect = dialect
        self.default_schema = default_schema
        self.project = project
        self.digest = digest
        self._objects = objects
        self._rows: Mapping[str, Any] = {}
        self._known = _Known(objects, default_schema, ignore_case=dialect == "mssql")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the resolver of a mapping file that ``procver publish`` or ``map`` wrote.

        Raises:
            UsageError: the file is missing, is no mapping, or was written by a newer procver.
        """
        import json

        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is dear to import
                document = json.load(file)
        except FileNotFoundError:
            raise UsageError(f"no mapping file {os.fspath(path)}", hint=_REMAKE) from None
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(f"cannot read mapping file {os.fspath(path)}: {why}") from error
        except (ValueError, RecursionError) as error:  # not JSON, or not UTF-8
            raise UsageError(
                f"mapping file {os.fspath(path)} is not JSON: {error}", hint=_REMAKE
            ) from error
        return cls._read(document, f"mapping file {os.fspath(path)}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """Return the resolver of a mapping at hand: parsed JSON, or MAPPING of a Python module.

        Raises:
            UsageError: it is no mapping, or was written by a newer procver.
        """
        return cls._read(mapping, "the mapping")

    @classmethod
    def from_database(cls, connection: Any, *, release: str, project: str | None = None) -> Self:
        """Return the resolver of a release as the registry holds it, in one query.

        Args:
            connection: a DB-API connection (psycopg, pyodbc); its transaction is left as found.
            release: name of a published release.
            project: the project it belongs to; needed only where two in one database have a
                release of that name.

        Raises:
            UsageError: the release is unknown or ambiguous, or the database has no registry.
            FindingsError: somebody changed the registry's rows of the release.
            DatabaseError: the database refused the query.
        """
        from procver.recorded import held

        rows = held(connection, mark_of(connection), release, project)
        if not rows:
            where = "here" if project is None else f"of project {project!r} here"
            raise UsageError(f"no release {release!r} {where}", hint="see: procver release list")
        projects = sorted({row[0] for row in rows})
        if len(projects) > 1:
            raise UsageError(
                f"several projects have a release {release!r}: {', '.join(projects)}",
                hint="say which: Resolver.from_database(connection, release=..., project=...)",
            )
        objects = {row[4]: (row[5], row[7]) for row in rows}
        owner, _, dialect, schema = rows[0][:4]
        found = "".join(rows[0][9:10])  # a registry that no newer procver upgraded yet has none
        _check(dialect, objects, f"the registry's row of release {release!r}")
        return cls(
            release, dialect, objects, default_schema=schema or "", project=owner, digest=found
        )

    @classmethod
    def _read(cls, document: Any, what: str) -> Self:
        number = document.get("procver") if isinstance(document, Mapping) else None
        if type(number) is int and number > FORMAT:
            raise UsageError(
                f"{what} has format {number}; this procver reads up to {FORMAT}",
                hint="upgrade procver in the app, or make the mapping with the app's version of it",
            )
        try:
            if type(number) is not int or number != FORMAT:
                raise ValueError("it lacks '\"procver\": 1'")
            objects = {
                name: (row["kind"], row["physical"]) for name, row in document["objects"].items()
            }
            more = {key: document.get(key, "") for key in ("default_schema", "project", "digest")}
            for value in (document["release"], document["dialect"], *more.values()):
                if not isinstance(value, str):
                    raise TypeError(f"{value!r:.60} is not a name")
            _check(document["dialect"], objects, what)
            found = cls(document["release"], document["dialect"], objects, **more)
            found._rows = document["objects"]
            return found
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise UsageError(f"{what} is no procver mapping: {why}", hint=_REMAKE) from error

    def __getitem__(self, name: str) -> str:
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._known.find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the physical name, or ``default`` where there is no such object."""
        found = self._known.find(name)
        return default if found is None else found

    def __repr__(self) -> str:
        return f"<Resolver of release {self.release!r}: {len(self)} objects>"

    @staticmethod
    def follow(
        connection: Any,
        channel: str,
        *,
        project: str | None = None,
        every: float | None = None,
    ) -> Following:
        """Return a resolver that switches to another release when a channel does: ``procver release channel``.

        Args:
            connection: a DB-API connection that `Following.refresh` may use; or a function that returns a new one.
            channel: the channel's name.
            project: the project it belongs to; needed only where two in one database have a channel of that name.
            every: seconds, about, between two looks by a thread; None: only `Following.refresh` looks. The thread
                needs a function for ``connection``.

        Raises:
            UsageError: the channel is unknown or ambiguous, or an argument makes no sense.
            FindingsError: versions of the channel's release are missing.
            DatabaseError: the database refused the query, or could not be reached.
        """
        from procver.following import Following

        return Following(connection, channel, project=project, every=every)

    def verify(self, connection: Any) -> None:
        """Check that every version of this release is in the database, and that the release is the one published here.

        One query looks for the versions in the catalog. Where this login may read ``procver.mapping``, a second one
        compares digests; a mapping file without a digest is compared object by object. On PostgreSQL a third one
        checks, where this login may use the registry, that all overloads are there and are those that were published.

        Args:
            connection: a DB-API connection; its transaction is left as found.

        Raises:
            FindingsError: versions are missing, the release is not known here, or it has other versions here than in
                the mapping; the message lists them.
            DatabaseError: the database refused the query.
        """
        import json

        from procver.recorded import Claim

        claim = Claim(self.release, self.project, self.digest, self._objects, self._rows)
        claim.check()
        query = _VERIFY.get(self.dialect)
        if query is None:
            raise UsageError(f"cannot verify a mapping of dialect {self.dialect!r}")
        wanted = [
            (at, kind, physical, *_parts(physical))
            for at, (kind, physical) in enumerate(self._objects.values())
        ]
        keys = ("at", "kind", "physical", "schema", "leaf")
        document = json.dumps([dict(zip(keys, row, strict=False)) for row in wanted])
        mark = mark_of(connection, "?" if self.dialect == "mssql" else "%s")
        found = _query(connection, query.replace("{}", mark), document)
        rows = [row for row in found if row[0] is not None]
        registry = {row[1] for row in found if row[0] is None}
        if not rows and "lacking" in registry:
            rows = _query(connection, _LACKING.replace("{}", mark), document)
        if not rows:
            if registry & {"mapping", "digest"} and wanted and (self.digest or self._rows):
                by_digest = bool(self.digest) and "digest" in registry
                claim.compare(connection, mark, by_digest=by_digest)
            return
        missing = [wanted[row[0]][2] for row in sorted(rows)]
        hidden = next((row[1] for row in rows if row[1]), None)
        shown = ", ".join(missing[:10])
        if len(missing) > 10:
            shown += f" and {len(missing) - 10} more"
        hint = (
            "check the connection's database; publish the release to it, or bring its versions"
            f" back with: procver release activate {self.release} --restore"
        )
        if hidden is not None:
            hint = (
                "this login sees only what it has a right on:"
                f" GRANT VIEW DEFINITION ON SCHEMA::{hidden} to it; if they are gone indeed, {hint}"
            )
        raise FindingsError(
            f"release {self.release!r} needs versions that this database lacks: {shown}", hint=hint
        )


class _Known(dict[str, str]):
    """Physical by logical name, as many spellings of it as were asked for so far."""

    __slots__ = ("folded", "schemas", "spelled")

    def __init__(
        self, objects: Mapping[str, tuple[str, str]], default_schema: str, *, ignore_case: bool
    ) -> None:
        super().__init__((name, row[1]) for name, row in objects.items())
        self.spelled = tuple(objects)
        self.folded = {n.casefold(): row[1] for n, row in objects.items()} if ignore_case else {}
        quoted = f'"{default_schema}".', f"[{default_schema}]."
        self.schemas = (f"{default_schema}.", *quoted) if default_schema else ()

    def __missing__(self, name: str) -> str:
        found = self.find(name)
        if found is None:
            raise UnknownNameError(name, self.near(name))
        self[name] = found
        return found

    def find(self, name: str) -> str | None:
        if self.folded and "[" in name:  # SQL Server's own way to write any name
            import re

            name = re.sub(r"\[(\w+)\]", r"\1", name)
        spellings = (name, *(schema + name for schema in self.schemas))
        for spelling in spellings:
            found = self.get(spelling)
            if found is None and self.folded:
                found = self.folded.get(spelling.casefold())
            if found is not None:
                return found
        return None

    def near(self, name: object) -> list[str]:
        from difflib import get_close_matches

        by_form: dict[str, str] = {}
        for logical in self.spelled:
            folded = logical.casefold()
            by_form.setdefault(folded, logical)
            by_form.setdefault(folded.rpartition(".")[2], logical)
        forms = get_close_matches(str(name).casefold(), by_form, n=4, cutoff=0.6)
        return list(dict.fromkeys(by_form[form] for form in forms))[:3]


_KINDS = {
    "postgresql": {"function", "procedure", "view", "materialized_view"},
    "mssql": {"function", "procedure", "view", "table_type"},
}

_PARTS = {
    "postgresql": r'[^\W\d][\w$]{0,62}|"(?:[^"\x00-\x1f\x7f\ud800-\udfff]|""){1,63}"',
    "mssql": r"[^\W\d][\w@$#]{0,127}|\[(?:[^\]\x00-\x1f\x7f\ud800-\udfff]|\]\]){1,128}\]",
}
"""A part of a physical name, by dialect: plain, or quoted with the closing quote doubled."""


def _check(dialect: str, objects: Mapping[str, tuple[str, str]], what: str) -> None:
    """Refuse what is not a mapping of names: an app puts its values into SQL as they are.

    Raises:
        UsageError: a value is not a physical name, or its kind is none of the dialect.
    """
    import re

    if dialect not in _PARTS:
        raise UsageError(
            f"{what} is for the dialect {dialect!r:.60}, which this procver does not know",
            hint=_REMAKE,
        )
    part, kinds = _PARTS[dialect], _KINDS[dialect]
    is_name = re.compile(rf"(?:(?:{part})\.)?(?:{part})").fullmatch
    for name, (kind, physical) in objects.items():
        if not isinstance(name, str):
            raise UsageError(f"{what} has {name!r:.60} for the name of an object", hint=_REMAKE)
        if not isinstance(physical, str) or not is_name(physical):
            raise UsageError(
                f"{what} has {physical!r:.60} for {name!r:.60}, which is not the name of an object",
                hint=_REMAKE,
            )
        if not isinstance(kind, str) or kind not in kinds:
            raise UsageError(
                f"{what} has the kind {kind!r:.60} for {name!r:.60}, which {dialect} does not have",
                hint=_REMAKE,
            )


_VERIFY = {
    "postgresql": """
SELECT w.at, NULL FROM pg_catalog.json_to_recordset({}::pg_catalog.json)
    AS w(at pg_catalog.int4, kind pg_catalog.text, physical pg_catalog.text, schema pg_catalog.text, leaf pg_catalog.text)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
    WHERE n.nspname OPERATOR(pg_catalog.=) w.schema AND p.proname OPERATOR(pg_catalog.=) w.leaf
    AND w.kind OPERATOR(pg_catalog.=)
        CASE WHEN p.prokind OPERATOR(pg_catalog.=) 'p' THEN 'procedure' ELSE 'function' END)
AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE n.nspname OPERATOR(pg_catalog.=) w.schema AND c.relname OPERATOR(pg_catalog.=) w.leaf
    AND w.kind OPERATOR(pg_catalog.=) CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'v' THEN 'view'
                                           WHEN c.relkind OPERATOR(pg_catalog.=) 'm' THEN 'materialized_view' END)
UNION ALL
SELECT NULL, CASE WHEN EXISTS (
    SELECT FROM pg_catalog.pg_attribute a
    WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname OPERATOR(pg_catalog.=) 'digest') THEN 'digest' ELSE 'mapping' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE n.nspname OPERATOR(pg_catalog.=) 'procver' AND c.relname OPERATOR(pg_catalog.=) 'mapping'
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
UNION ALL
SELECT NULL, 'lacking' FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n
    ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE n.nspname OPERATOR(pg_catalog.=) 'procver' AND p.proname OPERATOR(pg_catalog.=) 'lacking'
AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
""",
    "mssql": """
SELECT w.at, CASE WHEN SERVERPROPERTY('Babelfish') = 1 THEN NULL WHEN COALESCE(
    HAS_PERMS_BY_NAME(QUOTENAME(PARSENAME(w.physical, 2)), 'SCHEMA', 'VIEW DEFINITION'), 1) = 0
    THEN QUOTENAME(PARSENAME(w.physical, 2)) END AS hidden
FROM OPENJSON({}) WITH (at int, kind varchar(20), physical nvarchar(600)) AS w
LEFT JOIN sys.objects o ON o.object_id = OBJECT_ID(w.physical)
WHERE CASE WHEN w.kind = 'table_type' AND TYPE_ID(w.physical) IS NOT NULL THEN 1
    WHEN w.kind = 'procedure' AND o.type = 'P' THEN 1
    WHEN w.kind = 'view' AND o.type = 'V' THEN 1
    WHEN w.kind = 'function' AND o.type IN ('FN', 'IF', 'TF') THEN 1 ELSE 0 END = 0
UNION ALL
SELECT NULL, CASE WHEN COL_LENGTH('procver.mapping', 'digest') IS NULL THEN 'mapping' ELSE 'digest' END
WHERE HAS_PERMS_BY_NAME('procver.mapping', 'OBJECT', 'SELECT') = 1
""",
}
"""Versions that are missing; and rows without a number for what this login may use of the registry: its mappings
(``digest`` where they have one), and its comparison of overloads (``lacking``)."""

_LACKING = "SELECT l.place, NULL FROM procver.lacking({}::pg_catalog.json) AS l ORDER BY 1"


def _parts(physical: str) -> tuple[str, str]:
    """Split ``app."V.2"`` into its schema and leaf, without quotes."""
    at = 0
    if physical.startswith('"'):
        at = physical.replace('""', "  ").find('"', 1)
    dot = physical.find(".", at)
    schema, leaf = (physical[:dot], physical[dot + 1 :]) if dot >= 0 else ("", physical)
    return _plain(schema), _plain(leaf)


def _plain(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


_MSSQL_DRIVERS = ("pymssql", "pytds", "ctds", "mssql_python")


def dialect_of(connection: Any) -> str:
    """Return the dialect that a connection speaks, by its driver."""
    # SQLAlchemy keeps the driver's connection in its own.
    connection = getattr(connection, "driver_connection", None) or connection
    driver = type(connection).__module__.partition(".")[0]
    if driver == "pyodbc":
        return "mssql" if "SQL Server" in str(connection.getinfo(17)) else "postgresql"
    return "mssql" if driver in _MSSQL_DRIVERS else "postgresql"


def equals(connection: Any) -> str:
    """Return the operator that compares two texts, whatever the connection's search_path holds."""
    try:
        dialect = dialect_of(connection)
    except Exception:  # it is closed, and the query itself will say so
        return "="
    return "=" if dialect == "mssql" else "OPERATOR(pg_catalog.=)"


def mark_of(connection: Any, otherwise: str = "%s") -> str:
    """Return the driver's parameter mark: DB-API modules say it in ``paramstyle``."""
    import sys

    for kind in type(connection).__mro__:
        module = sys.modules.get(kind.__module__.partition(".")[0])
        style = getattr(module, "paramstyle", None)
        if style is not None:
            return {"qmark": "?", "numeric": ":1", "named": ":name"}.get(style, "%s")
    return otherwise


def ask(connection: Any, query: str, argument: str, view: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query on one of the registry's views.

    Raises:
        UsageError: the database has no registry.
        DatabaseError: the database refused the query.
    """
    try:
        return _query(connection, query, argument)
    except DatabaseError as error:
        if error.sqlstate == "42501":
            error.hint = f"grant this role USAGE on schema procver and SELECT on {view}"
        babelfish = f'{view}" does not exist' in error.message  # it sends no state for this
        if error.sqlstate not in ("42P01", "42S02") and not babelfish:
            raise
        raise UsageError(
            "this database has no procver registry",
            hint="check the connection's database, or publish first: procver publish",
        ) from error


def _query(connection: Any, query: str, argument: str) -> list[tuple[Any, ...]]:
    """Return all rows; a transaction that the query itself began is ended again."""
    was_idle = _idle(connection)
    try:
        cursor = connection.cursor()
        try:
            cursor.execute(query, (argument,))
            rows = cursor.fetchall()
        finally:
            cursor.close()
    except Exception as error:  # each driver has classes of its own
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        if state is None and error.args and type(error).__module__ == "pyodbc":
            state = error.args[0]
        raise DatabaseError(str(error), sqlstate=state) from error
    finally:
        if was_idle and _idle(connection) is False:
            connection.rollback()
    # A connection may return dictionaries, and bytes for text where it knows no encoding (SQL_ASCII).
    return [
        tuple(
            value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
            for value in (row.values() if isinstance(row, dict) else row)
        )
        for row in rows
    ]


def _idle(connection: Any) -> bool | None:
    """Return whether no transaction is open, or None where the driver does not tell."""
    status = getattr(getattr(connection, "info", None), "transaction_status", None)
    if status is not None:
        return bool(status == 0)
    if type(connection).__module__ != "pyodbc":
        return None
    try:
        if connection.autocommit or "SQL Server" not in connection.getinfo(17):  # SQL_DBMS_NAME
            return None
        # This begins none by itself (manual, "SET IMPLICIT_TRANSACTIONS").
        return bool(connection.execute("SELECT @@TRANCOUNT").fetchone()[0] == 0)
    except Exception:  # it is closed, and the query itself will say so
        return None
