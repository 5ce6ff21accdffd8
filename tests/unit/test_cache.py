"""The cache: what it saves, that it is never wrong, and never a reason to fail."""

import shutil
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import procver
from procver.project import cache as cache_module
from procver.project.cache import Cache
from procver.project.sources import load
from procver.scanning import scanner_for
from procver.scanning.postgresql import PostgresqlScanner


class Counting(PostgresqlScanner):
    """The real scanner, which also tells what it was asked to analyse."""

    def __init__(self):
        self.seen = []

    def analyse(self, text, default_schema, managed, spans=()):
        found = super().analyse(text, default_schema, managed, spans)
        self.seen.append(found.name.leaf)
        return found


def view(leaf, *references, extra=""):
    sources = " CROSS JOIN ".join(f"app.{name}" for name in references)
    return f"CREATE VIEW app.{leaf} AS SELECT 1 AS x{extra}{' FROM ' + sources if sources else ''};"


@pytest.fixture
def shop(project):
    project.write("sql/a.sql", view("a"))
    project.write("sql/b.sql", view("b", "a"))
    project.write("sql/c.sql", view("c", "b"))
    return project


def path_of(project):
    return project.root / ".procver" / "cache.sqlite3"


def read(project):
    """Load through the cache; compare with a load without; return what was analysed."""
    scanner = Counting()
    found = load(project.config, scanner, Cache(path_of(project)))
    plain = load(project.config, scanner_for("postgresql"), None)
    assert found.by_name == plain.by_name
    assert found.labels == plain.labels
    assert found.managed.kinds == plain.managed.kinds
    return sorted(scanner.seen)


def test_unchanged_sources_are_not_scanned_again(shop):
    assert read(shop) == ["a", "b", "c"]
    assert read(shop) == []


def test_only_what_changed_is_scanned(shop):
    read(shop)
    shop.write("sql/b.sql", view("b", "a", extra=", 2 AS y"))
    assert read(shop) == ["b"]
    shop.write("sql/b.sql", view("b", "a"))
    assert read(shop) == []


def test_everything_that_the_cache_holds_comes_back(project):
    project.write("sql/a.sql", view("a"))
    project.write(
        "sql/f.sql",
        "-- procver: revision 3\n-- procver: pin app.a = 2\n"
        "CREATE FUNCTION app.f(n int) RETURNS int LANGUAGE plpgsql AS $$\n"
        "BEGIN\n  PERFORM x FROM app.a; PERFORM x FROM app.a_7;\n"
        "  EXECUTE 'SELECT x FROM app.a';\n  RETURN app.f(n - 1); END $$;",
    )
    assert read(project) == ["a", "f"]
    assert read(project) == []
    found = load(project.config, scanner_for("postgresql"), Cache(path_of(project)))
    (analysis,) = [s.analysis for s in found.by_name.values() if s.name.leaf == "f"]
    assert analysis.recursive
    assert analysis.revision == 3
    assert analysis.pins == (((("app", "a")), 2),)
    assert analysis.fixed == ((("app", "a"), 7),)
    assert analysis.notes


def test_an_object_that_appears_or_goes_concerns_those_that_mention_it(shop):
    shop.write("sql/user.sql", view("user_", "later"))
    read(shop)
    shop.write("sql/later.sql", view("later"))
    assert read(shop) == ["later", "user_"]
    assert read(shop) == []
    (shop.root / "sql" / "a.sql").unlink()
    assert read(shop) == ["b"]
    shop.write("sql/a.sql", view("a"))
    assert read(shop) == ["b"]
    assert read(shop) == []


def test_a_change_of_kind_concerns_those_that_mention_it(shop):
    read(shop)
    shop.write("sql/a.sql", view("a").replace("VIEW", "MATERIALIZED VIEW"))
    assert read(shop) == ["a", "b"]


def test_a_mention_of_a_version_is_a_mention(shop):
    shop.write("sql/user.sql", view("user_", "later_12"))
    read(shop)
    shop.write("sql/later.sql", view("later"))
    assert read(shop) == ["later", "user_"]


def test_a_reference_in_a_string_is_a_mention(shop):
    shop.write(
        "sql/f.sql.j2",
        "CREATE FUNCTION app.f() RETURNS text LANGUAGE sql AS"
        " $$ SELECT 'x {{ ref('app.a') }} y' $$;",
    )
    read(shop)
    assert read(shop) == []
    shop.write("sql/a.sql", view("a").replace("VIEW", "MATERIALIZED VIEW"))
    assert "f" in read(shop)


@pytest.mark.parametrize(
    "change",
    [
        'default_schema = "app"',
        'search_path = ["app"]',
        'suffix = "_v{version}"',
        'databases = ["shop"]',
        '[placeholders]\n"$(schema)" = "app"',
        'encoding = "latin-1"',
    ],
)
def test_settings_that_matter_to_a_scan(shop, change):
    read(shop)
    shop.toml(change + "\n")
    assert read(shop) == ["a", "b", "c"]
    shop.toml()
    assert read(shop) == []


def test_templates_depend_on_variables_and_libraries(shop):
    shop.write("sql/t.sql.j2", "{% include 'columns.j2' %}")
    shop.write("sql/columns.j2", "CREATE VIEW app.t AS SELECT {{ n | default(1) }} AS x;")
    read(shop)
    assert read(shop) == []
    shop.toml("[variables]\nn = 2\n")
    assert read(shop) == ["t"]
    shop.write("sql/columns.j2", "CREATE VIEW app.t AS SELECT {{ n }} AS y;")
    assert read(shop) == ["t"]


def test_a_new_revision_of_the_scanner_reads_anew(shop, monkeypatch):
    read(shop)
    monkeypatch.setattr(PostgresqlScanner, "revision", 10**6, raising=False)
    assert read(shop) == ["a", "b", "c"]


leaves = st.sampled_from(["a", "b", "c", "d", "a_1", "ab"])
edits = st.lists(
    st.tuples(leaves, st.sampled_from(["view", "materialized view", None]), st.sets(leaves)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(edits)
def test_whatever_is_edited_the_cache_makes_no_difference(tmp_path_factory, steps):
    from tests.unit.conftest import Project

    project = Project(tmp_path_factory.mktemp("edited"))
    project.write("sql/keep.sql", view("keep", "a", "d_2"))
    for leaf, kind, references in steps:
        if leaf == "a_1":  # beside a it would be refused
            (project.root / "sql" / "a.sql").unlink(missing_ok=True)
        if leaf == "a":
            (project.root / "sql" / "a_1.sql").unlink(missing_ok=True)
        if kind is None:
            (project.root / "sql" / f"{leaf}.sql").unlink(missing_ok=True)
        else:
            text = view(leaf, *sorted(references - {leaf})).replace("VIEW", kind)
            project.write(f"sql/{leaf}.sql", text)
        read(project)
    assert read(project) == []


def corrupt_header(path):
    path.write_bytes(b"garbage" + path.read_bytes()[7:])


def corrupt_payload(path):
    data = path.read_bytes()
    for old, new in ((b'"app"', b'"apq"'), (b"view", b"vjew")):
        data = data.replace(old, new)
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


def empty(path):
    path.write_bytes(b"")


def another_format(path):
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()


def another_file(path):
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE source (x)")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def altered_shape(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE source SET payload = json_set(payload, '$[3]', 'ffff')")
    connection.close()


def altered_words(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE words SET words = 'nothing'")
    connection.close()


def altered_names(path):
    """Claim that app.d, which comes later, was known already."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE managed SET names = json_insert(names, '$[#]',"
                           " json_array('app', 'd', 'view'))")  # fmt: skip
    connection.close()


def wrong_values(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE source SET payload = x'ff00', sum = 1")
        connection.execute("UPDATE words SET words = 'nothing'")
        connection.execute("UPDATE managed SET names = '[]'")
    connection.close()


@pytest.mark.parametrize(
    "harm",
    [
        corrupt_header,
        corrupt_payload,
        truncate,
        empty,
        another_format,
        another_file,
        wrong_values,
        altered_shape,
        altered_words,
        altered_names,
    ],
)
def test_a_broken_cache_is_made_anew(shop, harm):
    shop.write("sql/user.sql", view("user_", "d"))
    read(shop)
    harm(path_of(shop))
    shop.write("sql/d.sql", view("d", "a"))
    read(shop)
    read(shop)
    assert read(shop) == []


def test_a_cache_that_is_a_directory(shop):
    path_of(shop).mkdir(parents=True)
    assert read(shop) == ["a", "b", "c"]
    assert read(shop) == ["a", "b", "c"]


def test_no_directory_can_be_made(shop):
    (shop.root / ".procver").write_text("in the way")
    assert read(shop) == ["a", "b", "c"]


def test_a_cache_that_may_not_be_written(shop, tmp_path):
    """As another user: root may write everywhere."""
    read(shop)
    shop.write("sql/d.sql", view("d", "a"))
    for directory in (tmp_path, *tmp_path.parents[:3]):
        directory.chmod(0o755)
    code = f"""
        import os, sys
        sys.path.insert(0, {str(Path(procver.__file__).parents[1])!r})
        from pathlib import Path
        from procver.project.cache import Cache
        from procver.project.config import load as config
        from procver.project.sources import load
        from procver.scanning import scanner_for
        root = Path({str(shop.root)!r})
        shop, scanner = config(root / "procver.toml"), scanner_for("postgresql")
        load(shop, scanner, None)  # so that no module is imported later, from where it may not
        if os.geteuid() == 0:
            os.setuid(65534)
        found = load(shop, scanner, Cache(root / ".procver/cache.sqlite3"))
        print(len(found.by_name))
    """
    path_of(shop).chmod(0o444)
    path_of(shop).parent.chmod(0o555)
    try:
        command = [sys.executable, "-c", textwrap.dedent(code)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        path_of(shop).parent.chmod(0o755)
    assert done.stdout == "4\n", done.stderr


def test_a_cache_that_another_process_holds(shop, monkeypatch):
    monkeypatch.setattr(cache_module, "_BUSY_SECONDS", 0.05)
    read(shop)
    holder = sqlite3.connect(path_of(shop), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert read(shop) == ["a", "b", "c"]
    holder.execute("ROLLBACK")
    holder.close()
    assert read(shop) == []


def test_two_processes_at_once(shop):
    """One writes between the other's reading and writing."""
    first, second = Cache(path_of(shop)), Cache(path_of(shop))
    scanner = scanner_for("postgresql")
    load(shop.config, scanner, first)

    class Between(Counting):
        def analyse(self, *arguments, **options):
            shutil.rmtree(path_of(shop).parent, ignore_errors=True)
            load(shop.config, scanner, second)
            return super().analyse(*arguments, **options)

    shop.write("sql/d.sql", view("d", "a"))
    load(shop.config, Between(), first)
    assert read(shop) == []


def test_rows_unused_for_long_are_pruned(shop):
    read(shop)
    shop.write("sql/c.sql", view("c", "a"))
    read(shop)
    with sqlite3.connect(path_of(shop)) as connection:
        count = "SELECT count(*), (SELECT count(*) FROM words) FROM source"
        assert connection.execute(count).fetchone() == (4, 4)
        connection.execute("UPDATE source SET used = used - 31")
    assert read(shop) == []
    assert connection.execute(count).fetchone() == (3, 3)
    connection.close()


def test_the_directory_ignores_itself_in_git(shop):
    read(shop)
    assert (shop.root / ".procver" / ".gitignore").read_text() == "*\n"


def test_statements_do_not_grow_with_the_project(project, monkeypatch):
    def opened(count):
        for number in range(count):
            project.write(f"sql/v{number}.sql", view(f"v{number}"))
        calls = []
        real = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: calls.append(1) or real(*a, **k))
        load(project.config, scanner_for("postgresql"), Cache(path_of(project)))
        monkeypatch.undo()
        return len(calls)

    opened(1)
    assert opened(10) == opened(60)
