"""Connection strings for SQL Server, and the ODBC driver that is found without being told.

Microsoft's manual "DSN and Connection String Keywords and Attributes" and FreeTDS's "ODBC Connection Attributes" name
the keywords. Nothing here opens a connection.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from procver.errors import ConfigError

MICROSOFT = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server")
"""Installed drivers, best first."""

WHEEL = "mssql_python_odbc"
"""The package that carries Microsoft's driver as files, for every platform."""

FREETDS_PLACES = (
    "/usr/lib/*/odbc/libtdsodbc.so",
    "/usr/lib64/libtdsodbc.so*",
    "/usr/lib/libtdsodbc.so*",
    "/usr/local/lib/libtdsodbc.so",
    "/opt/homebrew/lib/libtdsodbc.so",
)

_SHAPE = "mssql://user:password@host:1433/database"
_SECRETS = {"pwd", "password", "accesstoken", "clientkey", "keystoresecret"}
_KEYWORDS = _SECRETS | {"server", "database", "uid", "driver", "dsn", "encrypt", "port", "app"}
_ADO = {
    "data source": "Server",
    "initial catalog": "Database",
    "user id": "UID",
    "user": "UID",
    "password": "PWD",
    "integrated security": "Trusted_Connection",
}
"""Keywords of ADO.NET that these drivers leave unread: without Database, whatever is the login's own would be taken."""

_PART = re.compile(r"\s*([^=;{}]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|(?!\{)[^;]*?)\s*(?:;|$)")
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*")


class Driver(NamedTuple):
    """An ODBC driver: the name or the path that ``DRIVER=`` takes, and whose it is."""

    name: str
    freetds: bool = False


class Target(NamedTuple):
    """A connection string, and the parts of it that must never be shown."""

    text: str
    secrets: tuple[str, ...]
    database: str

    def masked(self, message: str) -> str:
        """Return ``message`` without any secret of this target.

        No driver quotes one. Where one did, it is replaced unless it could as well be a word or a number of the message.
        """
        for secret in sorted(self.secrets, key=len, reverse=True):
            if len(secret) > 4 and not secret.isalpha() and not secret.isdigit():
                message = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", message)
        return message

    def __repr__(self) -> str:
        return f"<Target of database {self.database!r}>"


def find_driver(installed: Sequence[str], root: Path = Path("/")) -> Driver:
    """Return the best driver of this system.

    Args:
        installed: what the driver manager knows, ``pyodbc.drivers()``.
        root: where the file system begins.

    Raises:
        ConfigError: there is none; the hint says what to install here.
    """
    for name in MICROSOFT:
        if name in installed:
            return Driver(name)
    carried = _carried()
    if carried is not None:
        return Driver(str(carried))
    if "FreeTDS" in installed:
        return Driver("FreeTDS", freetds=True)
    for pattern in FREETDS_PLACES:
        for path in sorted(root.glob(pattern.lstrip("/"))):
            return Driver(str(path), freetds=True)
    raise ConfigError("no ODBC driver for SQL Server was found", hint=_advice())


def _carried() -> Path | None:
    """Return the driver inside the wheel that fits this platform, or None."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    libs = Path(next(iter(spec.submodule_search_locations))) / "libs"
    return carried_driver(libs, sys.platform, platform.machine(), _os_release())


def carried_driver(
    libs: Path, system: str, machine: str, release: Mapping[str, str]
) -> Path | None:
    """Return the driver for a platform among those that the wheel carries, or None.

    Args:
        libs: the wheel's ``libs`` directory.
        system: as `sys.platform`.
        machine: as `platform.machine`.
        release: ``/etc/os-release`` as a mapping; it tells the Linux families apart.
    """
    arm = machine.lower() in ("arm64", "aarch64")
    if system == "win32":
        patterns = [f"windows/{'arm64' if arm else 'x64'}/**/msodbcsql*.dll"]
    elif system == "darwin":
        patterns = [f"macos/{'arm64' if arm else 'x86_64'}/lib/libmsodbcsql*.dylib"]
    else:
        words = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}".split()
        family = next((f for word in words for f in (_FAMILIES.get(word),) if f), "debian_ubuntu")
        patterns = [f"linux/{family}/{'arm64' if arm else 'x86_64'}/lib/libmsodbcsql*.so*"]
    for pattern in patterns:
        for path in sorted(libs.glob(pattern), reverse=True):
            return path
    return None


_FAMILIES = {
    "alpine": "alpine",
    "debian": "debian_ubuntu",
    "ubuntu": "debian_ubuntu",
    "rhel": "rhel",
    "fedora": "rhel",
    "centos": "rhel",
    "amzn": "rhel",
    "suse": "suse",
    "opensuse": "suse",
    "sles": "suse",
}


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _advice() -> str:
    wheel = 'pip install "procver[mssql]" brings one'
    if sys.platform == "win32":
        return f"{wheel}; or: winget install Microsoft.msodbcsql.18"
    if sys.platform == "darwin":
        return f"{wheel}; or: brew install msodbcsql18 (from the tap microsoft/mssql-release)"
    words = f"{_os_release().get('ID', '')} {_os_release().get('ID_LIKE', '')}"
    install = "apk add" if "alpine" in words else "apt-get install"
    if any(word in words for word in ("rhel", "fedora", "suse", "amzn")):
        install = "zypper install" if "suse" in words else "dnf install"
    return f"{wheel}; or: {install} msodbcsql18 (from packages.microsoft.com)"


def is_target(url: str) -> bool:
    """Return whether ``url`` is ``mssql://...`` or a raw ODBC connection string."""
    return url.startswith("mssql://") or ("://" not in url.split("=", 1)[0] and "=" in url)


def read_target(url: str, installed: Sequence[str]) -> Target:
    """Return the connection string that a target means, its driver filled in.

    Args:
        url: ``mssql://user:password@host:port/database?encrypt=...`` or ``Driver=...;Server=...``.
        installed: what the driver manager knows, ``pyodbc.drivers()``.

    Raises:
        ConfigError: it cannot be read, is one of ADO.NET, names no database, or no driver was found. What it holds is never shown.
    """
    if url.startswith("mssql://"):
        return _from_url(url, installed)
    parts = _parse(url)
    names = {key.casefold() for key, _ in parts}
    foreign = [key for key, _ in parts if key.casefold() in _ADO]
    if foreign:
        raise ConfigError(
            f"the target's connection string is one of ADO.NET: no ODBC driver reads {', '.join(foreign)}",
            hint=f"write {', '.join(f'{_ADO[key.casefold()]} for {key}' for key in foreign)};"
            f" yes or no for True or False; or {_SHAPE}",
        )
    if not names & {"database", "dsn", "filedsn", "attachdbfilename"}:
        raise ConfigError(
            "the target's connection string names no database, and the login's own may be any",
            hint="add Database=NAME; to it",
        )
    if not names & {"driver", "dsn", "filedsn"}:
        parts.insert(0, ("Driver", find_driver(installed).name))
    return _target(parts)


def _parse(text: str) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip("; \t\r\n")):
        found = _PART.match(text, at)
        if found is None:
            # A keyword may be of a password that holds a ; itself.
            before = parts[-1][0] if parts else ""
            place = "its beginning" if not parts else f"its part {len(parts)}"
            if before.casefold() in _KEYWORDS:
                place = f"{before}=..."
            raise ConfigError(
                f"the target's connection string cannot be read: after {place} no keyword=value"
                " follows",
                hint="write Server=host,1433;Database=name;...; put a value with ; or } in {braces}",
            )
        value = found[2]
        if value.startswith("{") and value.endswith("}"):
            value = value[1:-1].replace("}}", "}")
        parts.append((found[1], value))
        at = found.end()
    return parts


def _from_url(url: str, installed: Sequence[str]) -> Target:
    try:
        split = urlsplit(url)
        port = split.port
        options = dict(
            parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query))
        )
    except ValueError:
        raise ConfigError(
            "the target's URL cannot be read",
            hint=f"write {_SHAPE}; escape @ : / ? # in a password as %40 %3A %2F %3F %23",
        ) from None
    if "@" in split.path or ("@" in split.query and "@" not in split.netloc):
        raise ConfigError(
            "the target's URL has an @ that is not escaped, and what is of the password is not known",
            hint=f"write {_SHAPE}; escape @ : / ? # in a password as %40 %3A %2F %3F %23",
        )
    host, database = unquote(split.hostname or ""), unquote(split.path.lstrip("/"))
    if not host or not database or split.fragment:
        lacking = "host" if not host else "database"
        raise ConfigError(
            "the target's URL has a # that is not escaped" if split.fragment
            else f"the target's URL names no {lacking}",
            hint=f"write {_SHAPE}; escape @ : / ? # in a password as %40 %3A %2F %3F %23",
        )  # fmt: skip
    for key in options:
        if not _KEYWORD.fullmatch(key):
            raise ConfigError(
                "the target's URL has an option whose name is no ODBC keyword",
                hint="options follow ? as keyword=value&keyword=value: ?encrypt=yes",
            )
    folded = {key.casefold(): value for key, value in options.items()}
    named = folded.pop("driver", None)
    driver = find_driver(installed) if named is None else Driver(named, _is_freetds(named))
    parts = [("Driver", driver.name)]
    parts += _place(driver, host, port)
    parts.append(("Database", database))
    if split.username:
        parts.append(("UID", unquote(split.username)))
        if split.password is not None:
            parts.append(("PWD", unquote(split.password)))
    elif not folded.keys() & {"authentication", "trusted_connection"}:
        parts.append(("Trusted_Connection", "yes"))
    rest = [(key, value) for key, value in options.items() if key.casefold() != "driver"]
    parts += _freetds_options(rest) if driver.freetds else rest
    if "app" not in folded:
        parts.append(("APP", "procver"))
    return _target(parts)


def _is_freetds(driver: str) -> bool:
    return "freetds" in driver.casefold() or "tdsodbc" in driver.casefold()


def _place(driver: Driver, host: str, port: int | None) -> list[tuple[str, str]]:
    if driver.freetds:
        place = [("Server", host), ("TDS_Version", "7.4"), ("ClientCharset", "UTF-8")]
        return place if "\\" in host else [*place, ("Port", str(port or 1433))]
    return [("Server", host if port is None else f"{host},{port}")]


def _freetds_options(options: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Say Microsoft's two words of encryption in FreeTDS's; it checks no certificate unless its own file says so."""
    found: list[tuple[str, str]] = []
    words = {key.casefold(): value.casefold() for key, value in options}
    off = words.get("encrypt") in ("no", "false", "0", "optional", "disabled")
    trusted = words.get("trustservercertificate") in ("yes", "true", "1")
    if not off and not trusted and "encryption" not in words:
        raise ConfigError(
            "the only ODBC driver found here is FreeTDS, which would not check the server's certificate",
            hint='pip install "procver[mssql]" brings Microsoft\'s driver; or say encrypt=no or'
            " trustServerCertificate=yes in the target, if you mean it",
        )
    if "encryption" not in words:
        found.append(("Encryption", "off" if off else "require"))
    found += [o for o in options if o[0].casefold() not in ("encrypt", "trustservercertificate")]
    return found


def _target(parts: list[tuple[str, str]]) -> Target:
    text = "".join(f"{key}={_braced(value)};" for key, value in parts)
    secrets = [value for key, value in parts if key.casefold() in _SECRETS and value]
    database = next((v for k, v in parts if k.casefold() == "database"), "")
    return Target(text, (*secrets, *(s.replace("}", "}}") for s in secrets)), database)


def _braced(value: str) -> str:
    """Return ``value`` so that no character of it can end it: manual, "Connection String Syntax"."""
    if re.fullmatch(r"[\w./\\:,@+-]*", value):
        return value
    return "{" + value.replace("}", "}}") + "}"
