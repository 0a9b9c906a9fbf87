"""Binance spot: client, market data, exchange information, orders.

Add here: one file per part of the exchange. Keep out: decisions, stores.
"""
