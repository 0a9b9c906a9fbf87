"""The live path gives the orders of the backtest, one for one."""
