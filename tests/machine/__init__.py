"""A state machine over the testnet: the promise holds, broken executors are caught."""
