"""The mail server's own settings and files."""
