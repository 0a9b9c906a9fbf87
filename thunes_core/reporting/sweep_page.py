"""The heat map of a sweep: the best of a metric over two parameters, one self-contained page.

Add here: another view of a sweep's rows. Keep out: sweeping.
"""

from __future__ import annotations

import polars as pl

from thunes_core.errors import BadInput
from thunes_core.reporting.backtest_figures import INK


def heat_map_page(rows: pl.LazyFrame, x: str, y: str, metric: str, title: str) -> str:
    """Return a page with the best `metric` of `rows` by `x` and `y`; over other names the best.

    `rows` as `sweep` gives them. Raises `BadInput` for a name that is no column.
    """
    from thunes_core.backtest.sweep import heat_map

    names = rows.collect_schema().names()
    unknown = [name for name in (x, y, metric) if name not in names]
    if unknown or x == y:
        raise BadInput(
            f"heat map: expected two different names and a metric among {', '.join(names)}; "
            f"it was {x}, {y}, {metric}; give others"
        )
    return _page(heat_map(rows.select(x, y, metric).collect(), x, y, metric), y, x, metric, title)


def _page(table: pl.DataFrame, y: str, x: str, metric: str, title: str) -> str:
    from plotly.graph_objects import Figure, Heatmap

    figure = Figure(
        Heatmap(
            z=table.drop(y).to_numpy().tolist(),
            x=table.columns[1:],
            y=[str(value) for value in table[y]],
            colorscale="RdYlGn",
            zmid=0.0,
            colorbar={"title": metric},
            hovertemplate=f"{y} %{{y}}, {x} %{{x}}<br>{metric} %{{z:.3f}}<extra></extra>",
        )
    )
    figure.update_layout(
        title=title,
        xaxis={"title": x, "type": "category"},
        yaxis={"title": y, "type": "category"},
        font={"color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 20, "t": 60, "b": 60},
    )
    return str(figure.to_html(include_plotlyjs=True, config={"responsive": True}))
