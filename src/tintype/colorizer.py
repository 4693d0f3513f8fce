"""The main job: a picture in, the same picture with colour out.

Picture -> reduced luma -> method -> coarse chroma -> enlarged along the full luma's edges -> joined (when it is saved).
"""

from __future__ import annotations

import numpy as np

from tintype.guidance.hints import Hints
from tintype.methods import build
from tintype.methods.method import Method, Options
from tintype.picture.color import Bytes
from tintype.picture.picture import ColoredPicture, Page, Picture, from_array
from tintype.picture.profiles import space_of
from tintype.picture.reduce import average
from tintype.picture.turn import stored, upright
from tintype.refine.guided import GUIDE_LONGEST, GuidedChroma, enlarge, spread


class Colorizer:
    """A method, ready to colorize any number of pictures.

    `method` is a name ("tint", "grey", "wash"), the path of an ONNX file, or a Method that somebody built; `device` "auto", "cpu" or
    "cuda"; `threads` how many the network may use, None for all. Raises UsageError for an unknown method, ModelError for
    weights that are missing or damaged.
    """

    def __init__(self, method: str | Method = "tint", *, device: str = "auto", threads: int | None = None) -> None:
        self.method = build(method, device, threads) if isinstance(method, str) else method

    def colorize(self, picture: Picture, hints: Hints | None = None, options: Options | None = None) -> ColoredPicture:
        """Colour for every page of `picture`. Raises PictureError where it can't be read, HintsError for hints the method can't follow."""
        chroma = tuple(self._page(page, hints or Hints(), options or Options()) for page in picture.pages)
        notes = tuple(note for page in picture.pages for note in page.notes)
        return ColoredPicture(picture, chroma, self.method.name, self.method.sha256, notes)

    def colorize_array(self, array: Bytes, hints: Hints | None = None, options: Options | None = None) -> Bytes:
        """(H, W) or (H, W, 3) uint8 or uint16 -> RGB (H, W, 3) of the same type, whose luma is the input's. Raises ValueError for other arrays."""
        return self.colorize(from_array(array), hints, options).array()

    def _page(self, page: Page, hints: Hints, options: Options) -> GuidedChroma:
        """The full-size chroma of one page."""
        turn = page.metadata.orientation
        space = space_of(page.metadata.icc)
        guide = page.pixels.reduced(GUIDE_LONGEST)
        page.pixels.prefetch()
        seen, rules = upright(space.to_srgb(guide), turn), self.method.rules
        seen = average(seen, rules.size((seen.shape[0], seen.shape[1])))
        coarse = stored(self.method.chroma(seen, hints, options), turn) * np.float32(options.strength)
        coarse = space.from_srgb(average(guide, (coarse.shape[0], coarse.shape[1])), coarse)
        return (enlarge if options.refine else spread)(coarse, guide, page.size)


def colorize(picture: Picture, hints: Hints | None = None, options: Options | None = None) -> ColoredPicture:
    """`Colorizer().colorize(...)`: with the embedded network, on whatever device there is."""
    return Colorizer().colorize(picture, hints, options)
