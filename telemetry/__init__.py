"""What the site tells about its own work: figures, the context of log lines, traces.

Every room but `engine` and `problems` may use it. Nothing here raises into the work it watches, and
nothing here waits for Redis or for a collector of traces.
"""
