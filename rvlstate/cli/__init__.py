"""The command line: one file per command, each thin; nothing here imports more than click before it is needed."""
