"""The mail server's own settings and files: what it logs, and where.

`reading.read` reads them, one file here for each kind of source (`tailor`, `optionfile`, `channels`, `dispatcher`, `configutil`), into a
`settings.MailServer`. `options` has all names, bounds and defaults, `contradictions` what settings do to each other.
"""
