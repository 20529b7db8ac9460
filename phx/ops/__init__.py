"""The ops process: parameters, control, snapshots, metrics; and what the operator sees."""
