"""``python -m procver``."""

from procver.cli import main

if __name__ == "__main__":
    main()
