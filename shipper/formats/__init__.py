"""The registry: every line format and every envelope, one line each.

To add a format: write `formats/<name>.py` with a `FORMAT`, add it here in the order in which a line is offered to them (the more telling
its beginning, the earlier), and put lines and expected records into `tests/formats/<name>/`. The laws in `tests/test_laws.py` then hold it
too.
"""

from shipper.formats import debug, mta_json, mta_text, mta_xml, native, service, store_xml
from shipper.formats.base import Format, Log
from shipper.formats.envelope import Opened, begins_as_syslog, open_envelope

FORMATS: tuple[Format, ...] = (
    mta_text.FORMAT,
    mta_xml.FORMAT,
    store_xml.FORMAT,
    service.FORMAT,
    mta_json.FORMAT,
    native.FORMAT,
    debug.FORMAT,
)

BY_NAME = {form.name: form for form in FORMATS}

__all__ = ["BY_NAME", "FORMATS", "Format", "Log", "Opened", "begins_as_syslog", "open_envelope"]
