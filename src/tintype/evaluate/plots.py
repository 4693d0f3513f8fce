"""A report's plots, as SVG text and as pictures. matplotlib draws them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from textwrap import shorten

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tintype.cielab import coded, rgb_of
from tintype.evaluate.metrics import AB_LIMIT, COLOUR_STEP, ERROR_EDGES
from tintype.evaluate.results import Results

#: Told apart with any kind of sight (Okabe and Ito 2008); then again with other strokes.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_STROKES = ("-", "--", ":", "-.")
#: Points of a curve over the pictures: more can't be seen.
_POINTS = 200
#: Letters of a name in a plot.
_LONGEST = 30
#: Side of one plane of colours, in pixels; its lightness; how far it shows a and b either way (photographs hardly go beyond).
_PLANE, _LIGHTNESS, _SHOWN = 180, 65.0, 75


def pixel_curves(results: Results) -> str:
    """Share of all pixels with an error in ab below x: as SVG."""
    shares = results.errors.cumsum(1) / results.errors.sum(1, keepdims=True).clip(1)
    edges = np.array(ERROR_EDGES[:-1], np.float64)  # the last bin has no end
    return _curves(results.plan.names, [(edges, np.concatenate([[0.0], row[:-1]])) for row in shares], "pixels")


def picture_curves(results: Results) -> str:
    """Share of the pictures with an ab RMSE below x: as SVG."""
    curves = []
    for k in range(len(results.plan.names)):
        error = np.sort(results.column("ab_rmse", k)).astype(np.float64)
        error = error[np.isfinite(error)]
        at = np.linspace(0, 1, _POINTS)
        curves.append((np.quantile(error, at) if len(error) else at, at))
    return _curves(results.plan.names, curves, "pictures")


def _curves(names: Sequence[str], curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], what: str) -> str:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes: Axes = figure.add_subplot()
    lines = []
    for k, (name, (x, y)) in enumerate(zip(names, curves, strict=True)):
        style = _STROKES[k // len(_COLOURS) % len(_STROKES)]
        line = axes.plot(x, y, style, color=_COLOURS[k % len(_COLOURS)], linewidth=1.4)
        lines.append((line[0], shorten(name, _LONGEST, placeholder="…").replace("$", r"\$")))
    axes.set_xlim(0, _far(curves))
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.25)
    axes.set_xlabel("error in ab (root mean square of a and b)")
    axes.set_ylabel(f"share of the {what} below")
    axes.legend(*zip(*lines, strict=True), fontsize="small", frameon=False, loc="lower right")
    return _svg(figure)


def _far(curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    """Where the last of the curves has almost reached 1."""
    return max((float(x[min(len(x) - 1, int(np.searchsorted(y, 0.98)))]) for x, y in curves), default=1.0) or 1.0


def _svg(figure: Figure) -> str:
    """A figure as an SVG element that grows with the page; the same figure gives the same text."""
    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": "tintype", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" role="img">', text, count=1)


def planes(results: Results) -> list[tuple[str, Image.Image]]:
    """How often each ab occurs, for the originals and every candidate: a plane in those very colours, the more opaque the more often (logarithm)."""
    plane, cut = _colours(), (AB_LIMIT - _SHOWN) // COLOUR_STEP
    drawn = []
    for name, counts in zip(("originals", *results.plan.names), results.colours, strict=True):
        share = counts[cut:-cut, cut:-cut] / max(1, counts.sum())
        opacity = np.clip(1 + np.log10(np.maximum(share, 1e-12)) / 5, 0, 1)[..., None]
        rgb = (255 * (1 - opacity) + plane * opacity).round().astype(np.uint8)
        # counts run over a, then b; a picture's rows run down, and b grows upwards
        image = Image.fromarray(np.ascontiguousarray(rgb.transpose(1, 0, 2)[::-1]))
        large = image.resize((_PLANE, _PLANE), Image.Resampling.NEAREST)
        lines = ImageDraw.Draw(large)
        for ends in (((_PLANE // 2, 0), (_PLANE // 2, _PLANE)), ((0, _PLANE // 2), (_PLANE, _PLANE // 2))):
            lines.line(ends, "#d0d0d0")
        drawn.append((name, large))
    return drawn


def _colours() -> NDArray[np.float64]:
    """The colour of each cell of the plane that is shown (cells, cells, 3), a along the first axis, 0 to 255."""
    middle = np.arange(-_SHOWN, _SHOWN, COLOUR_STEP) + COLOUR_STEP / 2
    a, b = np.meshgrid(middle, middle, indexing="ij")
    lab = np.stack([np.full_like(a, _LIGHTNESS), a, b], -1)
    return np.asarray(coded(np.clip(rgb_of(lab), 0, 1)) * 255, np.float64)
