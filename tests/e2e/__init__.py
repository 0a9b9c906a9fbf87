"""The whole house, from the exchange to the report."""
