"""What strangers send to do harm: the list of `cases`, and the tests that had no other room."""
