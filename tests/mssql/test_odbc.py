"""Targets and drivers: nothing here opens a connection."""

from __future__ import annotations

from pathlib import Path

import pytest

from procver.dialects import odbc
from procver.dialects.odbc import Driver, carried_driver, find_driver, is_target, read_target
from procver.errors import ConfigError

NEW, OLD = odbc.MICROSOFT


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without the wheel."""
    monkeypatch.setattr(odbc, "_carried", lambda: None)


@pytest.mark.parametrize(
    ("installed", "found"),
    [
        (["FreeTDS", OLD, NEW], Driver(NEW)),
        (["FreeTDS", OLD], Driver(OLD)),
        (["FreeTDS", "SQLite3"], Driver("FreeTDS", freetds=True)),
    ],
)
def test_the_best_installed_driver_is_taken(
    bare: None, installed: list[str], found: Driver
) -> None:
    assert find_driver(installed) == found


def test_the_wheel_comes_after_what_is_installed_and_before_freetds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(odbc, "_carried", lambda: Path("/wheel/libmsodbcsql-18.so"))
    assert find_driver(["FreeTDS"]) == Driver("/wheel/libmsodbcsql-18.so")
    assert find_driver(["FreeTDS", OLD]) == Driver(OLD)


def test_freetds_is_found_as_a_file(bare: None, tmp_path: Path) -> None:
    library = tmp_path / "usr/lib/x86_64-linux-gnu/odbc/libtdsodbc.so"
    library.parent.mkdir(parents=True)
    library.touch()
    assert find_driver([], tmp_path) == Driver(str(library), freetds=True)


def test_without_any_driver_it_says_what_to_install(bare: None, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no ODBC driver") as refused:
        find_driver(["SQLite3"], tmp_path)
    assert 'pip install "procver[mssql]"' in str(refused.value.hint)
    assert "msodbcsql" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("place", "system", "machine", "release"),
    [
        ("linux/debian_ubuntu/x86_64/lib/libmsodbcsql-18.6.so.2.1", "linux", "x86_64", {"ID": "debian"}),
        ("linux/debian_ubuntu/arm64/lib/libmsodbcsql-18.6.so.2.1", "linux", "aarch64", {"ID": "ubuntu"}),
        ("linux/debian_ubuntu/x86_64/lib/libmsodbcsql-18.6.so.2.1", "linux", "x86_64", {}),
        (
            "linux/rhel/x86_64/lib/libmsodbcsql-18.6.so.2.1", "linux", "x86_64",
            {"ID": "rocky", "ID_LIKE": "rhel centos fedora"},
        ),
        ("linux/suse/x86_64/lib/libmsodbcsql-18.6.so.2.1", "linux", "x86_64", {"ID": "sles"}),
        ("linux/alpine/x86_64/lib/libmsodbcsql-18.6.so.2.1", "linux", "x86_64", {"ID": "alpine"}),
        ("macos/arm64/lib/libmsodbcsql.18.dylib", "darwin", "arm64", {}),
        ("windows/x64/msodbcsql18.dll", "win32", "AMD64", {}),
    ],
)  # fmt: skip
def test_the_wheel_has_a_driver_for_each_platform(
    tmp_path: Path, place: str, system: str, machine: str, release: dict[str, str]
) -> None:
    for other in (place, "linux/other/x86_64/lib/libmsodbcsql-18.6.so.2.1"):
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).touch()
    assert carried_driver(tmp_path, system, machine, release) == tmp_path / place
    assert carried_driver(tmp_path / "none", system, machine, release) is None


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "mssql://app:s3cret@db.example:1444/shop",
            f"Driver={{{NEW}}};Server=db.example,1444;Database=shop;UID=app;PWD=s3cret;APP=procver;",
        ),
        (
            "mssql://db.example/shop",
            f"Driver={{{NEW}}};Server=db.example;Database=shop;Trusted_Connection=yes;APP=procver;",
        ),
        (
            "mssql://db.example/shop?Authentication=ActiveDirectoryMsi&encrypt=strict",
            f"Driver={{{NEW}}};Server=db.example;Database=shop;Authentication=ActiveDirectoryMsi;"
            "encrypt=strict;APP=procver;",
        ),
        (
            "mssql://a%5Cb:p%40%7B%3B%7D%25@host%5Cinst/my%20db?trustServerCertificate=yes&APP=ci",
            f"Driver={{{NEW}}};Server=host\\inst;Database={{my db}};UID=a\\b;PWD={{p@{{;}}}}%}};"
            "trustServerCertificate=yes;APP=ci;",
        ),
        (
            f"mssql://u:p@h/d?driver={OLD.replace(' ', '+')}",
            f"Driver={{{OLD}}};Server=h;Database=d;UID=u;PWD=p;APP=procver;",
        ),
        (
            "mssql://u:p@h:99/d?driver=FreeTDS&encrypt=no",
            "Driver=FreeTDS;Server=h;TDS_Version=7.4;ClientCharset=UTF-8;Port=99;Database=d;UID=u;PWD=p;"
            "Encryption=off;APP=procver;",
        ),
        (
            "mssql://u:p@h/d?driver=/x/libtdsodbc.so&trustServerCertificate=yes",
            "Driver=/x/libtdsodbc.so;Server=h;TDS_Version=7.4;ClientCharset=UTF-8;Port=1433;Database=d;UID=u;"
            "PWD=p;Encryption=require;APP=procver;",
        ),
        (
            "Server=h,1;Database=d;UID=u;PWD={a;b}}c};Encrypt=no",
            f"Driver={{{NEW}}};Server=h,1;Database=d;UID=u;PWD={{a;b}}}}c}};Encrypt=no;",
        ),
        (" DSN = shop ; Trusted_Connection=yes ;", "DSN=shop;Trusted_Connection=yes;"),
    ],
)
def test_what_a_target_means(bare: None, url: str, text: str) -> None:
    assert is_target(url)
    assert read_target(url, [NEW]).text == text


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mssql://u:s3cret@:1433/d", "names no host"),
        ("mssql://u:s3cret@h", "names no database"),
        ("mssql://u:s3cret@h:port/d", "cannot be read"),
        ("mssql://u:s3c#ret@h/d", "cannot be read|not escaped|names no"),
        ("mssql://u:s3cret@h/d?encrypt", "cannot be read"),
        ("mssql://u:s3cret@h/d?en;crypt=no", "no ODBC keyword"),
        ("mssql://u:s3cret@h/d?driver=FreeTDS", "would not check the server's certificate"),
        ("Server=h;PWD=s3cret;what", "after PWD=... no keyword=value"),
        ("Server=h;PWD={s3cret", "cannot be read"),
        ("Driver={X};Server=h;UID=u;PWD=s3cret", "names no database"),
        (
            "Server=h;Initial Catalog=d;UID=u;PWD=s3cret",
            "ADO.NET: no ODBC driver reads Initial Catalog$",
        ),
        (
            "Data Source=h;Database=d;User Id=u;Password=s3cret",
            "reads Data Source, User Id, Password$",
        ),
        ("Server=h;Database=d;integrated security=True", "reads integrated security$"),
    ],
)
def test_what_cannot_be_a_target_is_refused_without_showing_it(
    bare: None, url: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        read_target(url, [NEW])
    assert "s3c" not in f"{refused.value} {refused.value.hint}"
    assert refused.value.hint


def test_it_says_what_odbc_calls_the_words_of_ado_net(bare: None) -> None:
    with pytest.raises(ConfigError) as refused:
        read_target("Server=h;Initial Catalog=d;User ID=u;PWD=s3cret", [NEW])
    assert "write Database for Initial Catalog, UID for User ID; yes or no" in str(
        refused.value.hint
    )


@pytest.mark.parametrize("url", ["postgresql://h/d?a=b", "embedded:", "mysql://h/d", "shop"])
def test_what_is_not_ours(url: str) -> None:
    assert not is_target(url)


def test_a_password_is_masked_however_it_is_written() -> None:
    target = read_target("mssql://u:p%7D4ss@h/d?AccessToken=t0ken", [NEW])
    shown = target.masked(f"login with p}}4ss, p}}}}4ss or t0ken failed: {target.text}")
    assert not [word for word in ("4ss", "t0ken") if word in shown]
