"""What `bin/bench history` runs inside of Django: the fill, the cases, the clock."""
