"""``python -m rsbench``."""

from rsbench.cli import main

if __name__ == "__main__":
    main()
