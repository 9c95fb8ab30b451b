"""The registry: every rendering of the schema, one line each.

To add a profile: write `profiles/<name>.py` with a `PROFILE`, add it here, put its golden file beside `tests/profiles/native.jsonl`, and a
column into `fields` if it has names of its own. The laws in `tests/profiles/test_profiles.py` then hold it too.
"""

from __future__ import annotations

from shipper.profiles import ecs, native, otel
from shipper.profiles.base import Profile

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (native.PROFILE, ecs.PROFILE, otel.PROFILE)}

__all__ = ["PROFILES", "Profile"]
