"""What is known about the words of the mail server's logs and settings: one file for each subject, one line for each file here.

To add a subject: a module with `meanings(word)`, `words()` and a `SUBJECT`, and a line below, in the order in which the overview shows them.
The texts are our own; a module names its sources.
"""

from shipper.knowledge import (
    channel_words,
    codes,
    debug_masks,
    enhanced,
    event_names,
    fields,
    files,
    levels,
    logfile_options,
    marks,
    mta_options,
    numbers,
    priorities,
    smtp,
)
from shipper.knowledge.base import CERTAIN, ELSE, LIKELY, POSSIBLE, Meaning, Subject

SUBJECTS: tuple[Subject, ...] = (
    codes.SUBJECT,
    smtp.SUBJECT,
    enhanced.SUBJECT,
    mta_options.SUBJECT,
    channel_words.SUBJECT,
    logfile_options.SUBJECT,
    levels.SUBJECT,
    priorities.SUBJECT,
    debug_masks.SUBJECT,
    files.SUBJECT,
    marks.SUBJECT,
    event_names.SUBJECT,
    fields.SUBJECT,
    numbers.SUBJECT,
)

__all__ = ["CERTAIN", "ELSE", "LIKELY", "POSSIBLE", "SUBJECTS", "Meaning", "Subject"]
