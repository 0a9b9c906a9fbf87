"""Long-lived processes: up, health, metrics.

Add here: a service.
Keep out: one-shot commands.
"""
