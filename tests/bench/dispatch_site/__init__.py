"""What `bin/bench dispatch` runs inside of Django: the time of a claim with few and with many steps
waiting."""
