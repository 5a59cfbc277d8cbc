"""Everything that changes videos, uploads, operations and outputs; one module for each."""
