"""Make the photographs in examples/ again, from scikit-image's own pictures: python scripts/make_examples.py

Each is reduced to its luma and stored the way such pictures come: another format, bit depth or mode for each.
Needs scikit-image and tifffile (both in the extra `dev`). Origins and licences: examples/README.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data
import tifffile
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

ORIENTATION, DESCRIPTION = 0x0112, 0x010E


def luma(rgb: NDArray[np.uint8]) -> Image.Image:
    """RGB (H, W, 3) -> 8-bit grey, the usual luma."""
    return Image.fromarray(rgb).convert("L")


def luma16(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """RGB (H, W, 3) -> 16-bit grey (H, W): the weighted sum of three bytes has more than eight bits to keep."""
    return np.rint(rgb @ np.array([0.299, 0.587, 0.114]) * 257).astype(np.uint16)


def exif(orientation: int, description: str) -> Image.Exif:
    """An EXIF block with two entries."""
    block = Image.Exif()
    block[ORIENTATION], block[DESCRIPTION] = orientation, description
    return block


def main() -> None:
    """Write all of them."""
    EXAMPLES.mkdir(exist_ok=True)
    # A plain grey JPEG with a comment, as archives write them.
    luma(skimage.data.astronaut()).save(
        EXAMPLES / "astronaut.jpg", quality=92, comment=b"Eileen Collins, NASA", dpi=(300, 300)
    )
    # A progressive JPEG whose camera lay on its side: stored turned, EXIF orientation 6 turns it upright again.
    luma(skimage.data.chelsea()).transpose(Image.Transpose.ROTATE_90).save(
        EXAMPLES / "cat.jpg", quality=90, progressive=True, exif=exif(orientation=6, description="Chelsea the cat")
    )
    # What scanners write: grey in a YCbCr JPEG, chroma at a quarter of the size.
    luma(skimage.data.rocket()).convert("RGB").save(EXAMPLES / "rocket.jpg", quality=88, subsampling="4:2:0")
    # A 16-bit TIFF with a resolution.
    tifffile.imwrite(
        EXAMPLES / "coffee.tif",
        luma16(skimage.data.coffee()),
        photometric="minisblack",
        compression="zlib",
        predictor=True,
        resolution=(600, 600),
        resolutionunit="INCH",
        description="A cup of coffee",
        software=False,
        datetime=False,
    )
    # An 8-bit PNG with a text chunk.
    about = PngInfo()
    about.add_text("Title", "Photographer on a lawn")
    Image.fromarray(skimage.data.camera()).save(EXAMPLES / "camera.png", pnginfo=about, optimize=True)
    # A lossy WebP.
    Image.fromarray(skimage.data.grass()).convert("RGB").save(EXAMPLES / "grass.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
