"""What `shipper doctor` says of a mail server: what it logs where, what cannot be answered, what comes twice or never.

look      a directory -> the settings files and the logs that are in it
examine   settings and logs -> a report
report    the report as text
written   the report as a configuration that `check` takes and `run` runs
"""
