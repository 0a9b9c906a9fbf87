"""Real processes, real SIGKILL: no order is lost or doubled."""
