"""What exists: fields, index definitions, catalogs of a server, records of the state. Pure values, no I/O."""
