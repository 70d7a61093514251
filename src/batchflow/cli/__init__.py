"""The command line: a door. It parses, prints and maps errors to exit codes; it decides nothing about runs."""


def main() -> None:
    """Run the command line."""
