"""Where payloads go: one file for each kind of receiver, its config section and its Sender.

A module named here has `Section`, a pydantic model with `type: Literal["<kind>"]` on top of `shipper.outputs.section.Common`, and
`make(name, section, ...)`.
"""

from __future__ import annotations

KINDS: dict[str, str] = {
    "jsonl": "jsonl",
    "syslog": "syslog",
    "otlp": "otlp",
    "elasticsearch": "elasticsearch",
    "log_files": "log_files",
}
"""`type:` in the configuration -> the module in `shipper.outputs`; one line for each, in the order in which the documentation has them."""
