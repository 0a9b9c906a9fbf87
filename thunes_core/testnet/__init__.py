"""The local testnet: an exchange that speaks Binance's protocol.

Add here: a behaviour of the real exchange.
Keep out: anything of the trading side.
"""
