"""Templates: what they see, what they may include, and that a version means the same everywhere."""

import pytest

from procver.errors import SourceError
from procver.objects import Name, Span
from procver.project.templates import Templates
from procver.scanning import scanner_for

SCANNER = scanner_for("postgresql")


@pytest.fixture
def render(tmp_path):
    """Render a template beside library files."""

    def rendered(text, libraries=None, **variables):
        return make(tmp_path, libraries or {}, variables).render(text, "sql/v.sql.j2")

    return rendered


def make(root, libraries, variables):
    found = []
    for path, content in libraries.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        if path.endswith(".j2") and not path.endswith(".sql.j2"):
            found.append((path, str(target)))
    return Templates(
        ["."],
        found,
        variables,
        "utf-8",
        parse=lambda text: SCANNER.parse(text, "public"),
        label=SCANNER.label,
    )


def refused(render, *arguments, **variables):
    with pytest.raises(SourceError) as caught:
        render(*arguments, **variables)
    return caught.value


def test_variables_and_ends_of_line(render):
    text, spans = render("SELECT {{ rate }},\r\n  1 -- é\r\n", rate=0.19)
    assert (text, spans) == ("SELECT 0.19,\r\n  1 -- é\r\n", ())
    assert render("a\n\nb") == ("a\n\nb", ())
    assert render("a\r\n{% for n in names %}{{ n }}\r\n{% endfor %}", names=["x", "y"])[0] == (
        "a\r\nx\r\ny\r\n"
    )


def test_a_reference_stands_as_a_logical_name_and_is_found_again(render):
    source = "x {{ ref('v') }} '{{ ref(\"app.f\") }}' {{ ref('app.\"V x\"') }}{{ ref('v') }}"
    text, spans = render(source)
    assert text == "x public.v 'app.f' app.\"V x\"public.v"
    assert [(text[start:end], name) for start, end, name in spans] == [
        ("public.v", Name("public", "v")),
        ("app.f", Name("app", "f")),
        ('app."V x"', Name("app", "V x")),
        ("public.v", Name("public", "v")),
    ]
    assert isinstance(spans[0], Span)


def test_references_in_loops_macros_and_variables(render):
    text, spans = render(
        "{% from 'lib/m.j2' import read %}{% set t = ref('app.t') %}"
        "{% for n in ['a', 'b'] %}{{ read(ref('app.' ~ n)) }} {% endfor %}{{ t }}",
        {"lib/m.j2": "{% macro read(what) %}FROM {{ what }}{% endmacro %}"},
    )
    assert text == "FROM app.a FROM app.b app.t"
    assert [text[span.start : span.end] for span in spans] == ["app.a", "app.b", "app.t"]


def test_included_text_takes_the_file_s_end_of_line(render):
    assert render("{% include 'a.j2' %}\r\n", {"a.j2": "x\ny"})[0] == "x\r\ny\r\n"


@pytest.mark.parametrize(
    ("text", "message", "line", "hint"),
    [
        ("a\n{{ nothing }}", "template error: 'nothing' is undefined", 2, "[variables]"),
        ("a\n\n{% if %}", "template error: Expected an expression", 3, "*.sql"),
        ("{{1,2},{3,4}}", "template error: ", 1, "*.sql"),
        ("a\n{{ 1 / 0 }}", "template error: ZeroDivisionError", 2, None),
        ("a\n{{ ref('a.b.c.d') }}", "template error: ", 2, None),
        ("a\n{{ ref('') }}", "template error: ", 2, None),
        ("a\n{{ ref(7) }}", "ref() takes a name in quotes, not int", 2, None),
        ("a\n{{ ref() }}", "template error: TypeError", 2, None),
        ("{{ ref('app.v') | replace('0', 'x') }}", "ref() was changed", None, "without filters"),
        ("{{ ref('app.v') | length }}", "template error: TypeError", 1, None),
        ("\n{% include 'missing.j2' %}", "template error: ", 2, "*.j2 file"),
        ("{% include 'other.sql.j2' %}", "cannot include 'other.sql.j2'", None, "macros.j2"),
        ("{% include 'secrets.txt' %}", "cannot include 'secrets.txt'", None, "macros.j2"),
        ("{% include '../x.j2' %}", "it is outside the sources", None, "relative"),
        ("{% include '/etc/x.j2' %}", "it is outside the sources", None, "relative"),
        ("{% include '.git/x.j2' %}", "it is outside the sources", None, "relative"),
    ],
)
def test_errors_say_where_and_what(render, text, message, line, hint):
    error = refused(render, text, {"other.sql.j2": "x", "secrets.txt": "x"})
    assert message in str(error)
    assert error.line == line
    if hint:
        assert hint in error.hint


def test_an_error_in_an_included_file_names_that_file(render):
    error = refused(render, "\n{% include 'lib.j2' %}", {"lib.j2": "\n\n{{ nothing }}"})
    assert error.file.endswith("lib.j2")
    assert error.line == 3


def test_an_included_file_that_is_not_utf8(render):
    error = refused(render, "{% include 'lib.j2' %}", {"lib.j2": b"\n\xff"})
    assert (error.file.rpartition("/")[2], error.line) == ("lib.j2", 2)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ref.__globals__ }}",
        "{{ ref('app.v')._at }}",
        "{{ self._TemplateReference__context }}",
        "{{ names.append(1) }}",
        "{{ range(10000000) }}",
    ],
)
def test_the_sandbox_holds(render, text):
    assert "template error" in str(refused(render, text, names=[]))


@pytest.mark.parametrize("text", ["{{ lipsum() }}", "{{ [1, 2] | random }}"])
def test_chance_has_no_place_in_a_version(render, text):
    assert "template error" in str(refused(render, text))


def test_the_digest_counts_all_that_rendering_depends_on(tmp_path):
    def digest(libraries, **variables):
        return make(tmp_path, libraries, variables).digest

    base = digest({"a.j2": "x"}, rate=1)
    assert base == digest({"a.j2": "x"}, rate=1)
    others = [
        digest({"a.j2": "x"}, rate=2),
        digest({"a.j2": "x"}, rate="1"),
        digest({"a.j2": "y"}, rate=1),
        digest({"b.j2": "x"}, rate=1),
        digest({}, rate=1),
    ]
    assert len({base, *others}) == 6


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(1) }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "{% include 'self.j2' %}",
        "{{ 'a' * 10**10 }}",
        "{{ [1] * 10**10 }}",
        "{{ 2 ** 10000000000 }}",
        "{{ 'a'.ljust(10**10) }}",
        "{{ ('a' | safe).ljust(10**10) }}",
        "{{ 'a'.encode().ljust(10**10) }}",
        "{{ 'a' | center(10**10) }}",
        "{{ 'a' | indent(10**10, true) }}",
        "{{ '%10000000000d' % 1 }}",
        "{{ '%*d' % (10**10, 1) }}",
        "{{ '{:10000000000}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=10**10) }}",
        "{{ ['a'] | batch(10**10, 'b') | list }}",
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x='b') %}{% for i in range(60) %}{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "1" * 5000 + " }}",
    ],
)
def test_a_template_without_end_is_refused(render, text):
    assert "template error" in str(refused(render, text, {"self.j2": "{% include 'self.j2' %}"}))


@pytest.mark.parametrize(
    "value",
    [
        "ref", "self", "range", "cycler(1, 2)", "joiner(',')", "namespace(a=1)", "'a'.upper", "[ref]", "ref ~ ''",
        "ref | string", "'%s' % ref", "'%s' | format(ref)", "'{}'.format(ref)", "[ref] | join", "{'a': ref} | pprint",
        "[names.index] | map('string') | list", "names | map('upper')", "names | map('upper') | string", "names | reverse",
        "day.today()", "day.now()", "day.astimezone()",
    ],
)  # fmt: skip
def test_what_is_not_the_same_everywhere_is_refused(render, value):
    from datetime import datetime

    error = refused(render, "{{ " + value + " }}", names=["a"], day=datetime(2026, 1, 1))
    assert "template error" in str(error)
    assert "0x" not in str(error)


def test_what_is_the_same_everywhere_is_written(render):
    text = (
        "{{ names | map('upper') | join(', ') }} {{ t }} {{ names }} {{ n * 100000 }} {{ '%05d' % 7 }}"
        " {{ names[0] ~ n ~ ref('app.v') }} {{ '{:>3}'.format(n) }} {{ t.items() | list }} {{ day }}"
    )
    from datetime import date

    shown, _ = render(text, names=["a", "b"], t={"b": 1, "a": 2}, n=3, day=date(2026, 1, 2))
    assert shown == (
        "A, B {'b': 1, 'a': 2} ['a', 'b'] 300000 00007 a3app.v   3 [('b', 1), ('a', 2)] 2026-01-02"
    )
