"""procver.toml: what it means, and what is said about a wrong one."""

from datetime import timedelta

import pytest

from procver.errors import ConfigError
from procver.project.config import GcConfig, GrantRule, duration, find, load, target_url


def test_defaults(project):
    config = project.config
    assert config.root == project.root
    assert (config.name, config.dialect, config.sources) == ("shop", "postgresql", ("sql",))
    assert (config.default_schema, config.search_path) == ("public", ("public",))
    assert (config.suffix, config.map) == ("_{version}", "procver.map.json")
    assert (config.encoding, config.main) == ("utf-8", "main")
    assert (config.variables, config.targets, config.grants) == ({}, {}, ())
    assert config.placeholders == {}
    assert config.gc == GcConfig(2, timedelta(days=7), timedelta(days=14), None, None, ())


def test_everything_set(project):
    project.toml(
        'sources = ["db", "more"]\nexclude = ["db/old"]\ndefault_schema = "app"\nsuffix = "_v{version}"\n'
        'databases = ["shop", "Sales"]\nmap = "build/map.json"\nencoding = "cp1252"\nmain = "trunk"\n'
        '[placeholders]\n"$(Schema)" = "app"\n'
        "[variables]\nrate = 0.19\ncolumns = [1, 2]\n"
        '[targets]\nlocal = "embedded:"\n'
        '[grants]\n"app.*" = { EXECUTE = ["web", "job"], select = [] }\n"app.x" = {}\n'
        '[gc]\nkeep_releases = 0\ngrace = "36h"\nidle = "0"\nunactivated = "30d"\nquarantine = "3d"\n'
        'pins = ["app.v_1"]\n'
    )
    config = project.config
    assert config.sources == ("db", "more")
    assert config.exclude == ("db/old",)
    assert config.search_path == ("app", "public")
    assert config.suffix == "_v{version}"
    assert config.databases == ("shop", "Sales")
    assert config.placeholders == {"$(Schema)": "app"}
    assert config.variables == {"rate": 0.19, "columns": [1, 2]}
    assert config.targets == {"local": "embedded:"}
    assert config.grants == (
        GrantRule("app.*", {"execute": ("web", "job"), "select": ()}, 20),
        GrantRule("app.x", {}, 21),
    )
    assert config.gc == GcConfig(
        0, timedelta(hours=36), timedelta(0), timedelta(days=3), timedelta(days=30), ("app.v_1",)
    )


def test_sql_server_defaults(project):
    project.toml(head='[project]\nname = "shop"\ndialect = "mssql"\n')
    assert (project.config.default_schema, project.config.search_path) == ("dbo", ("dbo",))


def test_byte_order_mark(project):
    path = project.toml()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert project.config.name == "shop"


def test_found_upwards(project):
    below = project.root / "a" / "b"
    below.mkdir(parents=True)
    assert find(below) == find(project.root) == project.root / "procver.toml"
    with pytest.raises(ConfigError, match=r"no procver\.toml in") as caught:
        find(project.root.parent)
    assert "procver init" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        load(project.root.parent / "procver.toml")
    assert "procver init" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("sorces = []", ":4: [project] unknown key 'sorces'", "did you mean sources?"),
        ("xyz = 1", ":4: [project] unknown key 'xyz'", "known here: name"),
        ("[grant]\n", ":4: unknown table 'grant'", "did you mean grants?"),
        ("[gc]\n\nidel = 1", ":6: [gc] unknown key 'idel'", "did you mean idle?"),
        ('sources = "sql"', ":4: [project] sources must be a list of strings", 'sources = ["..."]'),
        ("sources = []", ":4: [project] sources is empty", "sources"),
        ("sources = [1]", "sources must be a list of strings", "sources"),
        ('sources = ["/etc"]', "'/etc' must be relative", None),
        ("map = 3", "[project] map must be a string", "quotes"),
        ('map = ""', "[project] map is empty", None),
        ("gc = 3", "[project] unknown key 'gc'", None),
        (
            '[placeholders]\n"Schema" = "app"',
            ":5: [placeholders] Schema could be a part",
            "$(Schema)",
        ),
        ('[placeholders]\n"$( x)" = "app"', "could be a part of other words", "$(Schema)"),
        (
            '[placeholders]\n"$(x)" = 3',
            "[placeholders] $(x) stands for 3, which is no string",
            None,
        ),
        ('[placeholders]\n"$(x)" = "a\\nb"', "which is no string of one printable line", None),
        (
            '[placeholders]\n"$(x)" = "a"\n"$(X)" = "b"',
            ":6: [placeholders] $(X) is there already",
            "keep one",
        ),
        ('[gc]\nkeep_releases = "2"', "keep_releases must be a whole number", "2"),
        ("[gc]\nkeep_releases = -1", "keep_releases must be a whole number from 0", "2"),
        ("[gc]\nkeep_releases = true", "keep_releases must be a whole number", "2"),
        ("[gc]\ngrace = 7", "[gc] grace must be a string", "quotes"),
        ('[gc]\ngrace = "7 days"', ":5: [gc] grace '7 days' is no duration", '"7d"'),
        ('[gc]\ngrace = "-7d"', "'-7d' is no duration", '"7d"'),
        ('[gc]\nunactivated = "9999w"', "longer than 100 years", '"7d"'),
        ('encoding = "utf8000"', ":4: [project] encoding 'utf8000' is unknown", "utf-8"),
        ("[variables]\nref = 1", "[variables] ref is no name that a template can use", None),
        ('[variables]\n"a-b" = 1', ":5: [variables] a-b is no name", None),
        ("[targets]\nprod = 1", ":5: [targets] prod must be a string", "quotes"),
        ('[grants]\n"a.*" = "x"', ":5: [grants] a.* must be a table", None),
        ('[grants]\n"a.*" = { exeucte = ["x"] }', "unknown privilege 'exeucte'", "execute"),
        ('[grants]\n"a.*" = { execute = "x" }', "execute must be a list of strings", None),
        ('name = "again"', "procver.toml: ", "correct the TOML"),
        ("x = [", "at end of document", "correct the TOML"),
    ],
)
def test_refused_with_place_and_advice(project, text, message, hint):
    project.toml(text)
    with pytest.raises(ConfigError) as caught:
        _ = project.config
    assert message in str(caught.value)
    assert str(project.root / "procver.toml") in str(caught.value)
    if hint:
        assert hint in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("", "there is no [project]"),
        ('[project]\ndialect = "postgresql"\n', "[project] lacks name"),
        ('[project]\nname = "x"\n', "[project] lacks dialect"),
        ('[project]\nname = "x"\ndialect = "postgres"\n', ":3: [project] dialect 'postgres' is"),
        ('[project]\nname = " x"\ndialect = "mssql"\n', ":2: [project] name must be"),
        ('[project]\nname = "a\\nb"\ndialect = "mssql"\n', ":2: [project] name must be"),
    ],
)
def test_what_must_be_there(project, head, message):
    project.toml(head=head)
    with pytest.raises(ConfigError) as caught:
        _ = project.config
    assert message in str(caught.value)


@pytest.mark.parametrize("suffix", ["_{version}", "_v{version}", "__{version}_x", "V{version}"])
def test_suffixes(project, suffix):
    project.toml(f'suffix = "{suffix}"\n')
    assert project.config.suffix == suffix


@pytest.mark.parametrize(
    "suffix",
    ["_", "{version}", "_1{version}", "_{version}0", "_{version}_{version}", "-{version}",
     "_{version}!", "_{Version}", ' {version}', "_{version"],
)  # fmt: skip
def test_suffixes_that_would_not_tell_versions_apart(project, suffix):
    project.toml(f'suffix = "{suffix}"\n')
    with pytest.raises(ConfigError, match="does not tell versions apart"):
        _ = project.config


def test_not_utf8(project):
    path = project.toml()
    path.write_bytes(path.read_bytes() + b"# \xff")
    with pytest.raises(ConfigError, match=r"toml:4: not UTF-8 \(byte \d+\)"):
        _ = project.config


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("90m", 5400), ("36h", 129600), ("7d", 604800), ("2w", 1209600), ("0s", 0),
     ("0", 0), ("1 d", 86400)],
)  # fmt: skip
def test_durations(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-1d", "1.5h", "7D", "1y", "7d ", "\u0661d", "1d2h", "999999999w"]
)
def test_no_durations(text):
    with pytest.raises(ConfigError) as caught:
        duration(text)
    assert '"36h"' in caught.value.hint


SECRET = "postgresql://app:s3cret@db/shop"


def targets(project, **urls):
    project.toml("[targets]\n" + "".join(f'{key} = "{url}"\n' for key, url in urls.items()))
    return project.config


def test_targets_by_name_and_default(project):
    config = targets(project, local="embedded:", prod="${URL}")
    assert target_url(config, None, {}) == "embedded:"
    assert target_url(config, "prod", {"URL": SECRET}) == SECRET
    assert target_url(targets(project, prod="p://${USER}@${HOST}/x"), None,
                      {"USER": "u", "HOST": "h"}) == "p://u@h/x"  # fmt: skip


@pytest.mark.parametrize(
    "url", [SECRET, "embedded:", "embedded:/data", "Driver={x};Server=y;", "postgresql://a/${B}"]
)
def test_a_url_is_taken_as_it_is(project, url):
    assert target_url(project.config, url, {}) == url


@pytest.mark.parametrize(
    ("urls", "target", "environ", "message"),
    [
        ({}, None, {}, r"no target: procver\.toml has none"),
        ({"a": SECRET, "b": SECRET}, None, {}, "several targets, none named local"),
        ({"local": SECRET}, "prod", {}, r"no target 'prod' in procver\.toml"),
        ({"prod": "${URL}"}, "prod", {"OTHER": SECRET}, "variable 'URL', which is not set"),
        ({"prod": "${URL}"}, "prod", {"URL": ""}, "variable 'URL', which is empty"),
        ({"prod": SECRET + "${X}"}, None, {}, "variable 'X', which is not set"),
    ],
)
def test_targets_refused_without_a_word_of_the_url(project, urls, target, environ, message):
    config = targets(project, **urls)
    with pytest.raises(ConfigError, match=message) as caught:
        target_url(config, target, environ)
    assert caught.value.hint
    assert "s3cret" not in str(caught.value) + caught.value.hint + repr(config)
