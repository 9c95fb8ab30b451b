"""Where lines come from: one file for each kind of source, its config section and its class.

A module named here has `Section`, a pydantic model with `type: Literal["<kind>"]` and `extra="forbid"`, and `make(name, section, ...)`.
"""

from __future__ import annotations

KINDS: dict[str, str] = {
    "mta_log": "mta_log",
    "service_log": "service_log",
    "file": "file",
    "syslog": "syslog",
    "stdin": "stdin",
}
"""`type:` in the configuration -> the module in `shipper.inputs`; one line for each, in the order in which the documentation has them."""
