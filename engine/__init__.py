"""The media engine: reads media files, plans what to do with them, does it and checks the result.

Standard library, pydantic and `problems` only. It knows nothing of users, requests, rows or queues: paths,
limits, the progress callback and the Control that ends or holds the work come in as arguments, so the same
code runs in a worker, in a command and in a test. `docs/engine.md` tells how the rooms work together.
"""
