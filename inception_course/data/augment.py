"""Change a batch of images at random: bytes in, bytes out; the changes have their own generator.

torchvision's transforms draw once for a whole batch; these draw for each image.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Augment = Callable[[Tensor, Generator], Tensor]


@dataclass(frozen=True)
class RandomFlip:
    """Mirror each image left to right, with a chance of one half."""

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        flipped = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
        return torch.where(flipped.to(images.device), images.flip(3), images)


@dataclass(frozen=True)
class Translate:
    """Move each image up to `pixels` along each axis; what comes into view is black."""

    pixels: int

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images.shape
        tops, lefts = torch.randint(2 * self.pixels + 1, (2, count), generator=generator).tolist()
        padded = F.pad(images, [self.pixels] * 4)
        return torch.stack(
            [
                image[:, top : top + height, left : left + width]
                for image, top, left in zip(padded, tops, lefts, strict=True)
            ]
        )


@dataclass(frozen=True)
class Cutout:
    """Blacken a square of `pixels` at a random place in each image (DeVries and Taylor 2017)."""

    pixels: int

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images.shape
        # The square may reach beyond the border, so that every pixel is covered as often.
        tops = torch.randint(1 - self.pixels, height, (count,), generator=generator).tolist()
        lefts = torch.randint(1 - self.pixels, width, (count,), generator=generator).tolist()
        images = images.clone()
        for image, top, left in zip(images, tops, lefts, strict=True):
            image[:, max(top, 0) : top + self.pixels, max(left, 0) : left + self.pixels] = 0
        return images


@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut a patch out of each image, and enlarge it to the size that the image had (bilinear).

    The patch has from 8 to 100 % of the image's area, every share as likely, and is from 3/4 to 4/3
    times as wide as high: the sampling that the GoogLeNet paper found to work well (section 6). It
    says no more; here all places are as likely, and so are an aspect and its inverse. If an image
    is too long for a patch of its whole area, the largest share is the largest that fits.
    """

    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        count, _, height, width = images.shape
        boxes = self.boxes(count, height, width, generator).to(images.device)
        return resize_boxes(images, boxes)

    def boxes(self, count: int, height: int, width: int, generator: Generator) -> Tensor:
        """Draw top, left, height and width of `count` patches, in pixels and parts: [count, 4]."""
        share, shape, down, right = torch.rand(4, count, generator=generator)
        narrow, wide = self.aspect
        low, high = self.area
        high = min(high, wide * height / width, width / (narrow * height))
        share = min(low, high) + (high - min(low, high)) * share
        # Leave out aspects too wide or too high for the image: at 100 %, only its own is left.
        narrow = (share * width / height).clamp(min=narrow)
        wide = (width / (share * height)).clamp(max=wide)
        shape = narrow * (wide / narrow) ** shape
        heights = (share * height * width / shape).sqrt().clamp(1, height)
        widths = (share * height * width * shape).sqrt().clamp(1, width)
        tops, lefts = down * (height - heights), right * (width - widths)
        return torch.stack([tops, lefts, heights, widths], dim=1)


def resize_boxes(images: Tensor, boxes: Tensor) -> Tensor:
    """Enlarge a box of each image to the whole image; bytes [B, C, H, W] in and out.

    `boxes` are top, left, height and width in pixels, [B, 4]. Nothing outside a box is looked at.
    """
    tops, lefts, heights, widths = boxes.unbind(dim=1)
    rows = _between(images.shape[2], tops, heights)  # [B, H, H]
    columns = _between(images.shape[3], lefts, widths)  # [B, W, W]
    patches = rows[:, None] @ images.float() @ columns[:, None].mT
    return patches.round().to(images.dtype)


def _between(size: int, starts: Tensor, lengths: Tensor) -> Tensor:
    """Return how much each old pixel (column) counts in each new one (row): [B, size, size].

    This is linear interpolation: a pixel's weight falls from 1 where it is to 0 at its neighbors.
    """
    pixels = torch.arange(size, device=starts.device)
    starts, lengths = starts[:, None], lengths[:, None]
    # Pixel i is the interval from i to i + 1, so its value belongs to the middle.
    positions = (starts + (pixels + 0.5) * lengths / size - 0.5).clamp(starts, starts + lengths - 1)
    return (1 - (positions[:, :, None] - pixels).abs()).clamp(min=0)


class Compose(tuple[Augment, ...]):
    """Apply augmentations in order: Compose((RandomFlip(), Translate(2)))."""

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        for augment in self:
            images = augment(images, generator)
        return images
