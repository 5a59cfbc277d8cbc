"""What is put around every media tool: see docs/sandbox.md.

`choice` decides once which layer this machine can carry, and proves it; `starting` starts a tool inside it,
with what `view` says it may see. `process`, `setting_up`, `kernel` and `attempts` run in a small process of
their own and use nothing but the standard library. `whitelist`, outside of this package, holds the other
half: what ffmpeg itself may open.
"""
