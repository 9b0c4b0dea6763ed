"""Makes ``python -m consumer`` the same as ``onelane``."""

from consumer.cli import main

if __name__ == "__main__":
    main()
