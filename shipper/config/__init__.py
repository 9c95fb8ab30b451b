"""The configuration: YAML with places -> typed sections, and every error with its place."""
