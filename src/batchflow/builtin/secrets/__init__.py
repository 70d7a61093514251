"""Where secrets are kept: a folder of files."""
