"""The benchmark: shipper beside what else reads such logs on this machine. `make bench` runs it and writes docs/performance.md."""
