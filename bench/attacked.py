"""The result of an attack on a batch, as `bench.attack` returns it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import torch

from bench.errors import SpecError

if TYPE_CHECKING:
    from PIL import Image

#: The most images of a batch that are drawn: a longer picture is too long to be looked at.
_DRAWN = 16


@dataclass(frozen=True, slots=True)
class Attacked:
    """The result of an attack on a batch.

    Attributes:
        x_adv: the images tried, float32 (N, C, H, W); an image the model already gets wrong is
            not attacked and stays as it was.
        rows: one row per image, with the columns of a stored result.
        perturbation: float32 (C, H, W), what a universal attack added to every image; None for
            other attacks.
        trace: how near its goal each image was, `index, step, value` a row an image and step, of attacks
            that tell (native one-pixel); None of others.
        x: the images as they were, as `x_adv`.
        attack: in words: its name and the parameters that were given.
        classes: names of the model's classes; empty where they are not known.
    """

    x_adv: torch.Tensor
    rows: pd.DataFrame
    perturbation: torch.Tensor | None = None
    trace: pd.DataFrame | None = None
    x: torch.Tensor | None = None
    attack: str = ""
    classes: Sequence[str] = ()

    def picture(self) -> Image.Image:
        """Return a picture of the images: original, what was added, and the image tried, in one line for each.

        Of more than 16 images the first 16 are drawn; attack fewer, `x[20:24]`, to see others. It says under
        them what the model decided, how sure it was, and the norms of what was added. Save it with
        `out.picture().save("attacked.png")`; a notebook shows it.

        Raises:
            SpecError: the images have neither one nor three channels, or are not there.
        """
        from bench.report.formatting import threat
        from bench.report.one_image import Attempt, UnderAttack, draw  # a while to import

        if self.x is None:
            raise SpecError("there is no picture without the images as they were (`x`)")
        x, x_adv = (part.detach().cpu().float().numpy() for part in (self.x, self.x_adv))
        shown = [
            UnderAttack(
                name=f"image {row['index']}",
                x=x[at],
                attempts=(
                    Attempt(
                        attack=self.attack or str(row["attack"]),
                        threat=threat(row["norm"], row["eps"]),
                        toolkit=str(row["toolkit"]),
                        x_adv=x_adv[at],
                        row=row,
                    ),
                ),
            )
            for at, row in enumerate(self.rows.head(_DRAWN).to_dict("records"))
        ]
        return draw(str(self.rows["model"].iloc[0]), shown, self.classes)
