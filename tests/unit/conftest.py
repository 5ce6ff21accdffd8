"""Projects on disk for the unit tests."""

import pytest

from procver.project import config as configuration

HEAD = '[project]\nname = "shop"\ndialect = "postgresql"\n'


class Project:
    """A directory with a procver.toml and files."""

    def __init__(self, root):
        self.root = root
        self.toml()

    def toml(self, text="", head=HEAD):
        """Write procver.toml and return its path."""
        path = self.root / "procver.toml"
        path.write_text(head + text, encoding="utf-8")
        return path

    def write(self, path, content):
        """Write a file below the project and return its path."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    @property
    def config(self):
        """The configuration as it is on disk now."""
        return configuration.load(self.root / "procver.toml")


@pytest.fixture
def project(tmp_path):
    """A project without sources."""
    root = tmp_path / "project"
    root.mkdir()
    return Project(root)
