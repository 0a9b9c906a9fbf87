"""Facts in, pages out: Markdown, HTML, text, plots.

Add here: a page or a plot.
Keep out: sending, reading of stores.
"""
