"""The laws of the house, checked on its source."""
