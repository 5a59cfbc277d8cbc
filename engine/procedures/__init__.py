"""The procedures there are; see engine/procedure.py. `execute` knows them by the names of their modules."""
