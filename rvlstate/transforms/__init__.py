"""What the steps of `rvlstate.model.transform` compute: batches of values in, batches of values out, no I/O."""
