"""A report as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import PurePath
from string import Template

from tintype.evaluate import plots
from tintype.evaluate.grids import Extremes, Grids, Tile, uri
from tintype.evaluate.headline import Column, headline
from tintype.evaluate.results import Results
from tintype.evaluate.tables import SIGNIFICANT, Cell, Table

#: Names of pictures that are listed before the rest is only counted.
_LISTED = 20

_SECTIONS = {
    "table": "The table",
    "curves": "How errors are spread",
    "colours": "Which colours there are",
    "same": "The same pictures by each",
    "extremes": "Best, middling and worst of each",
    "speed": "Speed and memory",
    "measures": "Every measure",
    "left-out": "What was left out",
}


def page(table: Table, grids: Grids, title: str) -> str:
    """The whole page as text."""
    body = "\n".join(
        [
            *_head(table),
            *_table(table),
            *_curves(table.results),
            *_colours(table.results),
            *_shared(grids),
            *_extremes(grids),
            *_speed(table),
            *_measures(table),
            *_left_out(table.results),
        ]
    )
    template = Template(files("tintype.evaluate").joinpath("page.html").read_text())
    return template.substitute(title=escape(title), body=body)


def _head(table: Table) -> Iterator[str]:
    yield "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in table.about.items()) + "</dl>"
    grey = int(table.results.grey.sum())
    if grey:
        yield (
            f'<p class="note">{grey} of the originals {"is" if grey == 1 else "are"} grey or nearly so: on '
            f"{'it' if grey == 1 else 'them'} measures of colour mean nothing, and leave {'it' if grey == 1 else 'them'} out.</p>"
        )
    yield "<nav>" + "".join(f'<a href="#{k}">{v}</a>' for k, v in _SECTIONS.items()) + "</nav>"


def _title(section: str) -> str:
    return f'<h2 id="{section}">{_SECTIONS[section]}</h2>'


def _table(table: Table) -> Iterator[str]:
    baseline = table.results.plan.names[table.baseline]
    yield _title("table")
    yield (
        "<p>Each row is a method. Arrows say which way is better; bold is best of its column, if that is not the grey picture. Intervals and differences are "
        '<a href="#measures">below</a>. The grey picture is the line that every colouring must beat, and plausible, vivid '
        "colours may well have more error than none: read error, colourfulness and Fréchet distance together.</p>"
    )
    columns = headline(table)
    head = "".join(f'<th title="{escape(c.about)}">{escape(c.title)}{_arrow(c.better)}</th>' for c in columns)
    rows = []
    for k, name in enumerate(table.results.plan.names):
        cells = "".join(_value(column, k, table.grey) for column in columns)
        rows.append(f"<tr><td>{escape(name)}{' *' if k == table.baseline else ''}</td>{cells}</tr>")
    yield (
        f'<div class="wide"><table><caption>* {escape(baseline)} is the baseline of all differences</caption>'
        f"<thead><tr><th>method</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    yield '<p class="soft narrow">The table is wider than a small screen: it scrolls sideways.</p>'
    yield "<details open><summary>What the columns mean</summary><dl>"
    yield "".join(f"<dt>{escape(c.title)}</dt><dd>{escape(c.about)}</dd>" for c in columns) + "</dl></details>"
    missing = table.results.missing | {f.title: f.missing for f in table.results.frechet if f.missing}
    if missing:
        yield '<p class="soft">Columns that there aren’t:</p><ul class="soft">'
        yield "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in missing.items()) + "</ul>"


def _arrow(better: str) -> str:
    return {"lower": " ↓", "higher": " ↑"}.get(better, "")


def _value(column: Column, k: int, grey: int) -> str:
    """A cell. Where no colour at all is best, the column says nothing on who is."""
    kind = "best" if k in column.best and grey not in column.best else ""
    return f'<td class="{kind}">{escape(column.texts[k])}</td>'


def _curves(results: Results) -> Iterator[str]:
    yield _title("curves")
    yield '<div class="pair">'
    for what, svg in (("pixels", plots.pixel_curves(results)), ("pictures", plots.picture_curves(results))):
        yield f"<figure>{svg}<figcaption>Share of all {what} with less error than x, to where the last reaches 98 %; higher is better.</figcaption></figure>"
    yield "</div>"


def _colours(results: Results) -> Iterator[str]:
    yield _title("colours")
    yield '<p class="soft">How many pixels have each colour of CIELAB’s ab plane (a to the right, b upwards, both to ±75), on a logarithmic scale.</p>'
    yield '<div class="planes plot">'
    for name, image in plots.planes(results):
        yield f'<figure><img alt="colours of {escape(name)}" src="{uri(image)}"><figcaption>{escape(name)}</figcaption></figure>'
    yield "</div>"


def _figure(tile: Tile) -> str:
    below = f"<figcaption>{escape(tile.caption)}</figcaption>"
    size = f'width="{tile.width}" height="{tile.height}"'
    return f'<figure><img alt="{escape(tile.caption)}" {size} src="{tile.source}">{below}</figure>'


def _shared(grids: Grids) -> Iterator[str]:
    yield _title("same")
    yield '<p class="soft">Drawn by the seed, not chosen by hand.</p>'
    for name, row in grids.shared.items():
        yield (
            f'<p class="soft rank">{escape(PurePath(name).name)}</p><div class="row">'
            + "".join(map(_figure, row))
            + "</div>"
        )


def _extremes(grids: Grids) -> Iterator[str]:
    yield _title("extremes")
    yield '<p class="soft">The original, by its name, and the result beside it, with this picture’s ab RMSE; by that they are ranked.</p>'
    for name, found in grids.extremes.items():
        yield f"<h3>{escape(name)}</h3>"
        yield from _ranked(found)


def _ranked(found: Extremes) -> Iterator[str]:
    for what, pairs in (("best", found.best), ("middling", found.middle), ("worst", found.worst)):
        couples = "".join(f'<div class="couple">{_figure(a)}{_figure(b)}</div>' for a, b in pairs)
        yield f'<p class="soft rank">{what}</p><div class="planes">{couples}</div>'


def _speed(table: Table) -> Iterator[str]:
    yield _title("speed")
    known = [speed for speed in table.speeds if speed.seconds]
    if not known:
        yield '<p class="soft">Not measured.</p>'
        return
    unit = table.speeds[table.baseline] if table.speeds[table.baseline].seconds else known[0]
    name = table.results.plan.names[table.speeds.index(unit)]
    yield (
        f'<p class="soft">The whole pipeline on pictures of this evaluation, each method alone in a process of its own; '
        f"× is against {escape(name)}. Memory is the most that the process held, libraries included.</p>"
    )
    rows = []
    for method, speed in zip(table.results.plan.names, table.speeds, strict=True):
        cells = (
            f"<td>{1000 * speed.seconds:.0f}</td><td>{speed.seconds / unit.seconds:.2f}</td>"
            f"<td>{speed.memory / 2**20:.0f}</td><td>{speed.memory / unit.memory:.2f}</td>"
            if speed.seconds
            else "<td>–</td>" * 4
        )
        rows.append(f"<tr><td>{escape(method)}</td>{cells}</tr>")
    yield (
        '<div class="wide"><table><thead><tr><th>method</th><th>ms a picture</th><th>×</th><th>MiB</th><th>×</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _measures(table: Table) -> Iterator[str]:
    yield _title("measures")
    baseline = escape(table.results.plan.names[table.baseline])
    yield (
        f"<p>Means and medians over the pictures, with 95 % bootstrap intervals of the mean; differences to {baseline} are of the "
        f"same pictures, p by random flips of sign, adjusted for the number of methods (Holm), which the intervals are not; coloured where p &lt; {SIGNIFICANT}.</p>"
    )
    for name, measure in table.results.measures.items():
        unit = f" ({escape(measure.unit)})" if measure.unit else ""
        yield f"<details><summary>{escape(measure.title)}{unit}{_arrow(measure.better)}</summary>"
        yield f'<p class="soft">{escape(measure.about)}</p><div class="wide"><table>'
        yield (
            "<thead><tr><th>method</th><th>pictures</th><th>mean</th><th>95 %</th><th>median</th>"
            "<th>difference</th><th>95 %</th><th>p</th></tr></thead><tbody>"
        )
        yield from (_measured(cell, measure.better) for cell in table.cells[name])
        yield "</tbody></table></div></details>"


def _measured(cell: Cell, better: str) -> str:
    whole, difference = cell.summary, cell.difference
    texts = [str(whole.count), _number(whole.mean), _range(whole.interval.low, whole.interval.high)]
    texts.append(_number(whole.median))
    kind = ""
    if difference is None:
        texts += ["–", "", ""]
    else:
        texts += [_number(difference.mean, "+"), _range(difference.interval.low, difference.interval.high)]
        texts.append("–" if math.isnan(difference.p) else f"{difference.p:.4f}")
        if cell.significant and better in ("lower", "higher"):
            kind = "good" if (difference.mean > 0) == (better == "higher") else "bad"
    cells = "".join(f'<td class="{kind if i > 3 else ""}">{text}</td>' for i, text in enumerate(texts))
    return f"<tr><td>{escape(cell.candidate)}</td>{cells}</tr>"


def _number(value: float, sign: str = "") -> str:
    """Four digits that count, and no exponent for what isn't tiny."""
    if math.isnan(value):
        return "–"
    digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:{sign}.{min(digits, 5)}f}"


def _range(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{_number(low)} … {_number(high)}"


def _left_out(results: Results) -> Iterator[str]:
    yield _title("left-out")
    grey = [name for name, is_grey in zip(results.names, results.grey, strict=True) if is_grey]
    failed = [f"{why} ({candidate})" if candidate else why for _, candidate, why in results.failures]
    if not grey and not failed:
        yield "<p>Nothing.</p>"
    yield from _list("Originals that are grey or nearly so", grey)
    yield from _list("What could not be read or coloured", failed)


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        more = f"<li>… and {len(lines) - _LISTED} more</li>" if len(lines) > _LISTED else ""
        items = "".join(f"<li>{escape(line)}</li>" for line in lines[:_LISTED])
        yield f'<p>{title} ({len(lines)}):</p><ul class="soft">{items}{more}</ul>'
