"""Exchanges through CCXT, behind the same ports as Binance: market data, and orders where tried.

Add here: one part of reaching an exchange through CCXT. Keep out: decisions, stores.
"""
