"""What stands for other text in sources is filled in before they are read."""

import pytest

from procver.errors import SourceError
from procver.project.placeholders import filler, is_placeholder
from procver.project.sources import load
from procver.scanning import scanner_for


@pytest.mark.parametrize(
    "text", ["$(Schema)", "${schema}", "@extschema@", "%%x%%", "[$(db)]", "<<größe>>"]
)
def test_placeholders(text):
    assert is_placeholder(text)


@pytest.mark.parametrize("text", ["", "x", "$x", "$(x", "x)", "$(a b)", "$(a\n)", "()", "$(\0)"])
def test_what_could_be_a_part_of_something_else(text):
    assert not is_placeholder(text)


def test_all_are_filled_in_wherever_they_stand_and_once():
    fill = filler({"$(a)": "$(b)", "$(b)": "x", "$(a)$(b)": "both", "@c@": ""})
    assert fill("$(A) '$(b)' -- $(a)$(B)\n@C@.v @c") == "$(b) 'x' -- both\n.v @c"
    assert filler({})("$(a)") == "$(a)"


def test_a_value_is_no_pattern():
    assert filler({"$(a.)": r"\g<0>\1"})("$(a.) $(ab)") == r"\g<0>\1 $(ab)"


def test_letters_that_only_look_alike():
    fill = filler({"$(Schema)": "app", "$(GRÖSSE)": "3", "$(ki)": "x"})
    assert fill("$(\u017fchema) $(größe) $(\u212ai) $(k\u0131) $(GRÖSSE) $(KI)") == (
        "$(\u017fchema) $(größe) $(\u212ai) $(k\u0131) 3 x"
    )


def sources(project):
    config = project.config
    return load(config, scanner_for(config.dialect), None)


def statements(project, leaf):
    found = sources(project)
    (name,) = [name for name in found.by_name if name.leaf == leaf]
    numbers = dict.fromkeys(found.by_name, 1)
    return [statement.text for statement in found.statements(name, numbers)]


SQL_SERVER = """[project]
name = "shop"
dialect = "mssql"
databases = ["Shop"]
[placeholders]
"$(Schema)" = "dbo"
"$(db)" = "shop"
"""


def test_variables_of_sqlcmd(project):
    project.toml(head=SQL_SERVER)
    project.write("sql/v.sql", "CREATE VIEW [$(Schema)].[v] AS SELECT 1 AS x")
    project.write(
        "sql/p.sql",
        "CREATE PROC $(schema).p AS -- $(db)\nSELECT x, '$(DB)' AS d FROM [$(db)].$(SCHEMA).v",
    )
    assert sorted(name.leaf for name in sources(project).by_name) == ["p", "v"]
    (text,) = statements(project, "p")
    assert text == "CREATE PROC dbo.p_1 AS -- shop\nSELECT x, 'shop' AS d FROM [shop].dbo.v_1"


def test_one_that_nobody_gave_a_value(project):
    project.toml(head=SQL_SERVER)
    project.write("sql/v.sql", "CREATE VIEW $(Schema).v AS\nSELECT 1 AS x FROM $(other).t")
    with pytest.raises(SourceError, match=r"\$\(other\) is a variable of sqlcmd") as caught:
        sources(project)
    assert caught.value.line == 2
    assert "[placeholders]" in caught.value.hint


def test_the_schema_of_an_extension(project):
    project.toml('[placeholders]\n"@extschema@" = "app"\n')
    project.write("sql/a.sql", "CREATE VIEW app.a AS SELECT 1 AS x;")
    project.write("sql/b.sql", "CREATE VIEW @extschema@.b AS SELECT x FROM @extschema@.a;")
    assert statements(project, "b") == ["CREATE VIEW app.b_1 AS SELECT x FROM app.a_1"]


def test_in_a_template_they_come_first(project):
    project.toml('[placeholders]\n"$(s)" = "app"\n[variables]\nn = 3\n')
    project.write("sql/a.sql", "CREATE VIEW app.a AS SELECT 1 AS x;")
    project.write(
        "sql/b.sql.j2",
        "CREATE VIEW $(s).b AS SELECT x + {{ n }} AS y FROM {{ ref('$(s).a') }};",
    )
    assert statements(project, "b") == ["CREATE VIEW app.b_1 AS SELECT x + 3 AS y FROM app.a_1"]


def test_another_value_is_another_content(project):
    def digests():
        return {
            name.leaf: source.analysis.shape for name, source in sources(project).by_name.items()
        }

    project.write("sql/a.sql", "CREATE VIEW app.a AS SELECT $(n) AS x;")
    project.write("sql/b.sql", "CREATE VIEW app.b AS SELECT 2 AS x;")
    project.toml('[placeholders]\n"$(n)" = "1"\n')
    before = digests()
    project.toml('[placeholders]\n"$(n)" = "2"\n')
    after = digests()
    assert before["a"] != after["a"]
    assert before["b"] == after["b"]
