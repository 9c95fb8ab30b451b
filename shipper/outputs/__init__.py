"""Where payloads go: one file for each kind of receiver, its config section and its Sender."""
