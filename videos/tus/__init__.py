"""The edge that takes bytes: tus 1.0.0 and plain POST, as a raw ASGI application.

It must not run inside Django's handler or daphne, which hold whole bodies in memory and never show one
that was cut short. `app` is the door; `docs/uploads.md` tells how it behaves when things break.
"""
