"""A proxy between an unmodified client and the testnet that breaks connections."""
