"""`batchflow demo`: 200 made-up insurance claims go the whole way, on this machine alone.

Nothing here is a short cut: the job file, the prompt and the schema in `files/` are written into a folder and run as a
user's would be. Only the API is simulated, and the clock runs faster. Called by the verb, calls what `run` calls.
"""
