"""Source files: which count, what they become, and what is said about bad ones."""

import codecs
import os

import pytest

from procver.errors import ConfigError, SourceError
from procver.objects import Kind, Name
from procver.project.sources import load
from procver.scanning import scanner_for

SCANNER = scanner_for("postgresql")
BASE = "CREATE VIEW app.base AS SELECT 1 AS a;\n"
TOP = "CREATE VIEW app.top AS SELECT a FROM app.base;\n"


def read(project):
    return load(project.config, SCANNER, None)


def refused(project):
    with pytest.raises(SourceError) as caught:
        read(project)
    assert caught.value.exit_code == 2
    return caught.value


def test_what_a_source_becomes(project):
    project.write("sql/views/top.sql", TOP)
    project.write("sql/base.sql", BASE)
    sources = read(project)
    base, top = Name("app", "base"), Name("app", "top")
    assert [source.path for source in sources.by_name.values()] == [
        "sql/base.sql",
        "sql/views/top.sql",
    ]
    assert sources.by_name[top].kind == Kind.VIEW
    assert sources.by_name[top].label == sources.labels[top] == "app.top"
    assert sources.by_name[top].analysis.references == (base,)
    assert sources.by_name[top].analysis.words == ""
    assert sources.managed.kinds == {base: Kind.VIEW, top: Kind.VIEW}
    assert sources.text(top) == (TOP, ())


def test_which_files_count(project):
    project.toml('sources = ["sql", "more/deep", "sql/views"]\n')
    for number, path in enumerate(
        [
            "sql/b.sql",
            "sql/views/a.sql",
            "more/deep/c.sql.j2",
            "sql/x.y.sql",
            "sql/dir.sql/d.sql",
            "sql/Z.SQL",
        ]
    ):
        project.write(path, f"CREATE VIEW v{number} AS SELECT 1 AS a;")
    for path in [
        "sql/.hidden.sql", "sql/.git/x.sql", "sql/readme.md", "sql/x.SQL.bak", "more/not.sql",
        "sql/macros.j2",
    ]:  # fmt: skip
        project.write(path, "nothing")
    (project.root / "sql/views/loop").symlink_to(project.root / "sql")
    assert [source.path for source in read(project).by_name.values()] == [
        "more/deep/c.sql.j2",
        "sql/Z.SQL",
        "sql/b.sql",
        "sql/dir.sql/d.sql",
        "sql/views/a.sql",
        "sql/x.y.sql",
    ]


def test_a_linked_directory_and_file_count_once(project, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "v.sql").write_text(BASE)
    project.write("sql/top.sql", TOP)
    for link in ("one", "two"):
        (project.root / "sql" / link).symlink_to(elsewhere)
    assert [source.path for source in read(project).by_name.values()] == [
        "sql/one/v.sql",
        "sql/top.sql",
    ]


@pytest.mark.parametrize("source", [".", "./sql/", "sql//", "../project/sql"])
def test_spellings_of_a_directory(project, source):
    project.toml(f'sources = ["{source}"]\n')
    project.write("sql/base.sql", BASE)
    sources = read(project)
    (found,) = sources.by_name.values()
    assert found.path.endswith("sql/base.sql")
    assert sources.text(found.name) == (BASE, ())


def test_no_directory(project):
    with pytest.raises(ConfigError, match="source directory 'sql' does not exist") as caught:
        read(project)
    assert "create sql/" in caught.value.hint
    project.write("sql", "a file")
    with pytest.raises(ConfigError, match="source directory 'sql' is no directory"):
        read(project)


def test_no_file(project):
    project.write("sql/readme.md", "nothing yet")
    error = refused(project)
    assert "no *.sql file in sql/" in str(error)
    assert "procver init" in error.hint


def test_a_link_that_leads_nowhere_and_a_name_no_one_can_read(project):
    project.write("sql/base.sql", BASE)
    link = project.root / "sql" / "gone.sql"
    link.symlink_to("nowhere")
    assert str(refused(project)).startswith("sql/gone.sql: cannot be read: No such file")
    link.unlink()
    odd = os.fsencode(project.root) + b"/sql/\xff.sql"
    with open(odd, "wb") as file:  # noqa: PTH123 - a name that is no text
        file.write(TOP.encode())
    error = refused(project)
    assert "\\udcff.sql'" in str(error)
    str(error).encode()


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"", "", None),
        (b"-- nothing\n", "", None),
        (b"CREATE TABLE t (a int);", "", 1),
        (b"\n\nCREATE VIEW v AS SELECT '", "", 3),
        (b"\nCREATE VIEW v AS SELECT 1 AS \xe9;", "is not UTF-8", 2),
        (codecs.BOM_UTF16_LE + b"odd", "odd number of bytes", None),
    ],
    ids=["empty", "comment", "table", "unterminated", "latin1", "odd"],
)
def test_a_bad_file_is_named(project, content, message, line):
    project.write("sql/base.sql", BASE)
    project.write("sql/bad.sql", content)
    error = refused(project)
    assert str(error).startswith("sql/bad.sql")
    assert message in str(error)
    assert error.hint
    if line:
        assert error.line == line


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_encodings_give_the_same_version(project, mark):
    names = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le"}
    text = "CREATE VIEW v AS SELECT 'é' AS a;\r\n"
    project.write("sql/v.sql", text)
    plain = read(project).by_name[Name("public", "v")]
    project.write("sql/v.sql", mark + text.encode(names.get(mark, "utf-16-be")))
    sources = read(project)
    marked = sources.by_name[Name("public", "v")]
    assert marked.analysis == plain.analysis
    assert marked.digest != plain.digest
    assert sources.text(marked.name) == (text, ())


def test_all_bad_files_are_named_at_once(project):
    project.write("sql/a.sql", b"\xff")
    project.write("sql/b.sql", BASE)
    project.write("sql/c.sql", "CREATE TABLE t (a int);")
    project.write("sql/d.sql", "")
    error = refused(project)
    assert error.file == "sql/a.sql"
    lines = str(error).split("\n")
    assert lines[0].startswith("sql/a.sql:1: is not UTF-8")
    assert lines[1] == "2 more files cannot be used:"
    assert lines[2].startswith("  sql/c.sql:1: ")
    assert lines[3].startswith("  sql/d.sql")
    assert error.hint.startswith("sql/a.sql: "), "it is about that file alone"
    assert [other.file for other in error.others] == ["sql/c.sql", "sql/d.sql"]
    assert all(other.hint for other in error.others)


def test_a_hundred_bad_files_do_not_fill_the_screen(project):
    for number in range(100):
        project.write(f"sql/{number:03}.sql", "")
    error = refused(project)
    assert str(error).endswith("\n  and 79 more")
    assert len(error.others) == 99
    assert "sql/000.sql" not in error.hint, "all of them need the same"


@pytest.mark.parametrize(
    "patterns",
    [
        ["sql/Tables", "*/spike-*.sql", "sql/x/y/macros.j2"],
        ["./sql/Tables/", "sql/x/y/*"],
        ["*Tables", "*spike*"],
        ["*/t.sql", "sql/x"],
    ],
)
def test_what_is_left_out(project, patterns):
    project.toml(f"exclude = {patterns}\n")
    project.write("sql/base.sql", BASE)
    project.write("sql/Tables/t.sql", "CREATE TABLE app.t (a int)")
    project.write("sql/x/y/spike-1.sql", "whatever")
    assert [source.path for source in read(project).by_name.values()] == ["sql/base.sql"]


def test_all_is_left_out(project):
    project.toml('exclude = ["sql"]\n')
    project.write("sql/base.sql", BASE)
    assert str(refused(project)) == "no *.sql file in sql/ but what exclude names (sql)"


def test_a_template_in_capitals(project):
    project.write("sql/base.SQL.j2", BASE)
    error = refused(project)
    assert str(error) == "sql/base.SQL.j2: the end of a template's name is in lower case"
    assert "*.sql.j2" in error.hint


def test_the_same_object_in_two_files(project):
    project.write("sql/a.sql", BASE)
    project.write("sql/b.sql", BASE.replace("app.base", "APP . Base"))
    assert str(refused(project)) == "sql/b.sql: app.base is defined in sql/a.sql already"


def test_overloads_in_two_files(project):
    body = "RETURNS int LANGUAGE sql AS 'SELECT 1';"
    project.write("sql/a.sql", f"CREATE FUNCTION app.f(int) {body}")
    project.write("sql/b.sql", f"CREATE FUNCTION app.f(text) {body}")
    error = refused(project)
    assert "app.f is defined in sql/a.sql already" in str(error)
    assert "overloads" in error.hint


@pytest.mark.parametrize(
    ("suffix", "name", "taken"),
    [
        ("_{version}", "base_1", True),
        ("_{version}", "base_01", False),
        ("_{version}", "base1", False),
        ("_{version}", "base_1_2", False),
        ("_v{version}", "base_v12", True),
        ("_v{version}", "base_12", False),
        ("_{version}_x", "base_3_x", True),
    ],
)
def test_a_name_that_looks_like_a_version_of_another(project, suffix, name, taken):
    project.toml(f'suffix = "{suffix}"\n')
    project.write("sql/base.sql", BASE)
    project.write("sql/other.sql", BASE.replace("base", name))
    if taken:
        assert f"app.{name} looks like version" in str(refused(project))
    else:
        assert len(read(project).by_name) == 2


def test_what_was_read_is_what_is_rewritten(project):
    path = project.write("sql/base.sql", BASE)
    sources = read(project)
    path.write_text(BASE + "-- changed\n")
    assert sources.text(Name("app", "base"))[0] == BASE


def test_what_was_too_much_to_keep_is_read_again_and_must_be_the_same(project, monkeypatch):
    monkeypatch.setattr("procver.project.sources.KEEP_BYTES", 10)
    path = project.write("sql/base.sql", BASE)
    sources = read(project)
    path.write_text(BASE + "-- changed\n")
    with pytest.raises(SourceError, match=r"sql/base\.sql: has changed since it was read"):
        sources.text(Name("app", "base"))
    path.unlink()
    with pytest.raises(SourceError, match=r"sql/base\.sql: cannot be read"):
        sources.text(Name("app", "base"))


def test_a_template(project):
    project.toml("[variables]\nlimit = 3\n")
    project.write("sql/base.sql", BASE)
    project.write(
        "sql/top.sql.j2",
        "CREATE FUNCTION app.top() RETURNS text LANGUAGE plpgsql AS $$\r\n"
        "BEGIN EXECUTE 'SELECT a FROM {{ ref('app.base') }} LIMIT {{ limit }}'; END $$;\r\n",
    )
    sources = read(project)
    top = sources.by_name[Name("app", "top")]
    assert top.analysis.references == (Name("app", "base"),)
    text, spans = sources.text(top.name)
    assert "FROM app.base LIMIT 3'; END $$;\r\n" in text
    assert [text[span.start : span.end] for span in spans] == ["app.base"]


def test_all_renderings_see_the_same_libraries(project):
    project.write("sql/v.sql.j2", "{% include 'part.j2' %}")
    project.write("sql/part.j2", BASE)
    sources = read(project)
    project.write("sql/part.j2", "something else")
    assert sources.text(Name("app", "base")) == (BASE, ())


def test_plain_sql_is_never_a_template(project):
    text = "CREATE VIEW v AS SELECT '{{1,2},{3,4}}'::int[] AS a, '{#' AS b;"
    project.write("sql/v.sql", text)
    assert read(project).text(Name("public", "v")) == (text, ())


def test_a_reference_to_what_no_source_defines(project):
    project.write("sql/base.sql", BASE)
    project.write("sql/v.sql.j2", "CREATE VIEW v AS\nSELECT a FROM {{ ref('app.bsae') }};")
    error = refused(project)
    assert str(error).startswith("sql/v.sql.j2:2: ref() names app.bsae, which no source defines")
    assert error.hint == "did you mean app.base?"


def test_a_template_error_and_a_bad_file_together(project):
    project.write("sql/a.sql.j2", "\n{{ nothing }}")
    project.write("sql/b.sql", "")
    error = refused(project)
    assert str(error).startswith("sql/a.sql.j2:2: template error: 'nothing' is undefined")
    assert "sql/b.sql" in str(error)


def test_lines_of_rendered_text_are_said_to_be_that(project):
    project.write("sql/a.sql.j2", "{% set x = 1 %}\n\nCREATE TABLE t (a int);")
    assert "(the line is that of the rendered text)" in str(refused(project))
