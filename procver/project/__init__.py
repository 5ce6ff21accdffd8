"""The project on disk: its configuration, source files, lock file and cache."""
