"""What is known of each set of weights and of each network: one frozen row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A set of weights. The long card of our own is docs/models/NAME.md.

    Without `url`, `file` is a name inside the package's data folder; with it, a name in the cache, where
    `tintype models get` puts what it fetches from there. `size` in bytes, 0 where it isn't known; `source` is a page
    about these weights, licence included.
    """

    name: str
    file: str
    sha256: str
    parameters: int
    licence: str
    data: str
    url: str = ""
    size: int = 0
    source: str = ""


# The public files' sizes and hashes are those that others publish who have them, and the first eight digits of five stand
# in the files' own names; LPIPS's are those of its repository's files. Where this was written none of the addresses could be
# reached: a hash that is wrong here shows as a download that is refused, never as weights that are not checked.
CARDS: dict[str, Card] = {
    "tint": Card(
        name="tint",
        file="tint.onnx",
        sha256="9cc5d34d37c40218135f151bac1de2ae515618890c0cc72fd031fbc3da626ef5",
        parameters=10_770_340,
        licence="research and personal use: several sources of the training pictures allow no more",
        data="156,753 photographs from 105 public sources, none of them of the validation sets",
    ),
    "features": Card(
        name="features",
        file="features.safetensors",
        sha256="40f993b8dc66ddeb6cbb3f85d05960367df6d5d5bb19ec6052f81b45b00316be",
        parameters=2_455_840,
        licence="research and personal use: several sources of the training pictures allow no more",
        data="35,595 photographs from 105 public sources, none of them of the validation sets",
    ),
    "eccv16": Card(
        name="eccv16",
        file="colorization_release_v2-9b330a0b.pth",
        sha256="9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9",
        parameters=32_236_011,
        licence="BSD-2-Clause",
        data="ImageNet",
        url="https://colorizers.s3.us-east-2.amazonaws.com/colorization_release_v2-9b330a0b.pth",
        size=128_976_165,
        source="https://github.com/richzhang/colorization",
    ),
    "siggraph17": Card(
        name="siggraph17",
        file="siggraph17-df00044c.pth",
        sha256="df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
        parameters=34_187_027,
        licence="BSD-2-Clause",
        data="ImageNet",
        url="https://colorizers.s3.us-east-2.amazonaws.com/siggraph17-df00044c.pth",
        size=136_787_426,
        source="https://github.com/richzhang/colorization",
    ),
    "vgg16": Card(
        name="vgg16",
        file="vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        parameters=138_357_544,
        licence="BSD-3-Clause",
        data="ImageNet-1k",
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
        size=553_433_881,
        source="https://huggingface.co/timm/vgg16.tv_in1k",
    ),
    "inception-resnet-v2": Card(
        name="inception-resnet-v2",
        file="inception-resnet-v2-d47b5edf.pth",
        sha256="d47b5edf9f355ef395162258bd2eb0edb2710bf3711774de54d5f4a1d1fcfbdf",
        parameters=55_843_464,
        licence="Apache-2.0",
        data="ImageNet-1k",
        url="https://huggingface.co/timm/inception_resnet_v2.tf_in1k/resolve/89854797f99e77e1189626b74d7c07013a4308fa/pytorch_model.bin",
        source="https://huggingface.co/timm/inception_resnet_v2.tf_in1k",
    ),
    "fid-inception": Card(
        name="fid-inception",
        file="pt_inception-2015-12-05-6726825d.pth",
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        parameters=23_850_960,
        licence="Apache-2.0",
        data="ImageNet-1k",
        url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        size=95_628_359,
        source="https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights",
    ),
    "alexnet": Card(
        name="alexnet",
        file="alexnet-owt-7be5be79.pth",
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        parameters=61_100_840,
        licence="BSD-3-Clause",
        data="ImageNet-1k",
        url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        size=244_408_911,
        source="https://github.com/pytorch/vision",
    ),
    "lpips-alex": Card(
        name="lpips-alex",
        file="lpips-alex-df73285e.pth",
        sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        parameters=1_152,
        licence="BSD-2-Clause",
        data="BAPPS: which of two distorted patches looks more like the original",
        url="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1/alex.pth",
        size=6_009,
        source="https://github.com/richzhang/PerceptualSimilarity",
    ),
    "lpips-vgg": Card(
        name="lpips-vgg",
        file="lpips-vgg-a78928a0.pth",
        sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        parameters=1_472,
        licence="BSD-2-Clause",
        data="BAPPS: which of two distorted patches looks more like the original",
        url="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/082bb24f84c091ea94de2867d34c4544f68e0963/lpips/weights/v0.1/vgg.pth",
        size=7_289,
        source="https://github.com/richzhang/PerceptualSimilarity",
    ),
}


@dataclass(frozen=True)
class Network:
    """A network in one line, and where it comes from. `trained`: `tintype train` knows it. Its layers are read off itself."""

    about: str
    paper: str
    trained: bool = True


_ZHANG = 'Zhang, Isola, Efros, "Colorful Image Colorization", 2016'
_KOALA = 'Baldassarre, Gonzalez Morin, Rodes-Guirao, "Deep Koalarization", 2017'
_PIX2PIX = 'Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017'
_LPIPS = 'Zhang, Isola, Efros, Shechtman, Wang, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018'
_VGG = 'Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015'

#: The names are those of cards, of configs/ and of train.systems.
NETWORKS: dict[str, Network] = {
    "tint": Network(
        "Tintype's own: a residual U-Net with attention and colour queries, mean and vivid chroma, and chroma classes",
        f"classes after {_ZHANG}",
    ),
    "autoencoder": Network(
        "grey 32x32 to RGB through a code of 256 numbers", "after the colorization autoencoder of Keras' examples"
    ),
    "plain": Network("colour classes by a straight stack of convolutions", _ZHANG),
    "residual": Network("colour classes with shortcut connections", f"the task is that of {_ZHANG}"),
    "koala": Network("encoder and decoder, ab by squared error", _KOALA),
    "koala-fusion": Network("koala with a classifier's view of the whole picture", _KOALA),
    "unet": Network("unet-gan's U-Net by itself, ab by squared error", _PIX2PIX),
    "unet-gan": Network("a U-Net against a discriminator", _PIX2PIX),
    "vgg-gan": Network("generator and discriminator on VGG16's features", f"losses after {_PIX2PIX}; {_VGG}"),
    "resnet-gan": Network("koala-fusion against unet-gan's discriminator", f"{_KOALA}; {_PIX2PIX}"),
    "eccv16": Network("plain's network as released, with its weights", _ZHANG, trained=False),
    "siggraph17": Network(
        "colour from grey and a user's points, as released",
        'Zhang, Zhu, Isola, Geng, Lin, Yu, Efros, "Real-Time User-Guided Image Colorization with Learned Deep Priors", 2017',
        trained=False,
    ),
    "vgg16": Network("a classifier of photographs; vgg-gan's features", _VGG, trained=False),
    "inception-resnet-v2": Network(
        "a classifier of photographs; the view of koala-fusion and resnet-gan",
        'Szegedy, Ioffe, Vanhoucke, Alemi, "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning", 2016',
        trained=False,
    ),
    "fid-inception": Network(
        "a classifier of photographs; what FID compares",
        'Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture for Computer Vision", 2016',
        trained=False,
    ),
    "alexnet": Network(
        "a classifier of photographs; what lpips-alex looks at",
        'Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014',
        trained=False,
    ),
    "lpips-alex": Network("LPIPS: how much each of alexnet's channels matters to people", _LPIPS, trained=False),
    "lpips-vgg": Network("LPIPS: how much each of vgg16's channels matters to people", _LPIPS, trained=False),
}
