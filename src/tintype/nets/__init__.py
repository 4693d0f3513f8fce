"""The networks, in plain torch: one file each. What can be trained, by name, is in train.systems."""
