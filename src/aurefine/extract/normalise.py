"""Bring the background of particle images to mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Background", "make_background", "normalise_images", "remove_dust"]

_ABSOLUTE_FLOOR = 1e-10  # below this standard deviation the background counts as constant
_RELATIVE_FLOOR = 1e-6  # the same relative to the root mean square before: float32 rounding
_RESOLVED = 0.02  # least share of the power that a variance from float32 row sums may have


@dataclass(frozen=True)
class Background:
    """The pixels outside a circle, and what is needed to fit a plane through them.

    `pixels` (n_background,) are flat indices into an image of edge `box_size`, and `mask`
    (box_size, box_size) is 1 there and 0 elsewhere; `axis` (box_size,) counts from the image origin
    in units of half a box; `basis` (n_background, 3) holds 1, x, y of each pixel in these units;
    `inverse_normal` (3, 3) is the inverse of ``basis.T @ basis``.
    """

    box_size: int
    pixels: npt.NDArray[np.int64]
    mask: npt.NDArray[np.float32]
    axis: npt.NDArray[np.float64]
    basis: npt.NDArray[np.float64]
    inverse_normal: npt.NDArray[np.float64]

    def values(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the background pixels of each image, shape (n, n_background)."""
        return images.reshape(len(images), -1).take(self.pixels, axis=1).astype(np.float64)

    def sums(
        self, images: npt.NDArray[np.float32], work: npt.NDArray[np.float32] | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sum v, v x and v y, shape (n, 3), and v², shape (n,), over the background pixels v.

        Rows are summed in single precision, and rows added up in double precision. `work` is
        memory of the shape of the images.
        """
        masked = np.multiply(images, self.mask, out=work)  # (n, box, box)
        columns = np.stack((np.ones_like(self.axis), self.axis), axis=1).astype(np.float32)
        rows = masked.reshape(-1, self.box_size) @ columns  # one product for all images
        of_rows = rows.reshape(len(images), self.box_size, 2).astype(np.float64)
        powers = np.einsum("nyx,nyx->ny", masked, masked).sum(axis=1, dtype=np.float64)
        along_y = of_rows[:, :, 0] @ self.axis
        return np.column_stack((of_rows.sum(axis=1), along_y)), powers


def make_background(box_size: int, radius: int) -> Background:
    """Describe the background: pixels further than `radius` [px] from the image origin.

    Raises
    ------
    ValueError
        If the circle does not fit into the box or leaves no background.
    """
    if radius < 0 or 2 * radius > box_size:
        raise ValueError(
            f"a background circle of radius {radius} px does not fit into a box of {box_size} px"
        )
    axis = np.arange(box_size) - box_size // 2
    mask = axis[:, None] ** 2 + axis**2 > radius**2
    pixels = np.flatnonzero(mask)
    if len(pixels) == 0:
        raise ValueError(
            f"no background pixels outside a radius of {radius} px in a box of {box_size} px"
        )
    units = axis / (box_size / 2)
    y, x = units[pixels // box_size], units[pixels % box_size]
    basis = np.stack((np.ones(len(pixels)), x, y), axis=1)
    # the pseudo-inverse serves tiny boxes whose background does not define a plane
    inverse_normal = np.linalg.pinv(basis.T @ basis).astype(np.float64, copy=False)
    return Background(box_size, pixels, mask.astype(np.float32), units, basis, inverse_normal)


def remove_dust(
    images: npt.NDArray[np.float32],
    background: Background,
    *,
    white: float,
    black: float,
    generators: Sequence[np.random.Generator],
) -> int:
    """Replace outlying pixels by Gaussian noise with the statistics of the background, in place.

    Parameters
    ----------
    images : ndarray, shape (n, box, box), float32
    background : Background
    white, black : float
        Thresholds in standard deviations of the background; 0 or less switches a side off.
    generators : sequence of numpy Generator, length n
        Random stream of each particle.

    Returns
    -------
    n_replaced : int
        Number of pixels replaced in all images.
    """
    n_replaced = 0
    values = background.values(images)
    means, deviations = values.mean(axis=1), values.std(axis=1)
    for image, mean, deviation, generator in zip(
        images, means, deviations, generators, strict=True
    ):
        for threshold, sign in ((white, 1.0), (black, -1.0)):
            if threshold <= 0:
                continue
            dust = sign * (image - mean) > threshold * deviation
            count = int(np.count_nonzero(dust))
            image[dust] = generator.normal(mean, deviation, count)
            n_replaced += count
    return n_replaced


def normalise_images(
    images: npt.NDArray[np.float32],
    background: Background,
    *,
    subtract_plane: bool = True,
    inverted: bool = False,
    work: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.bool_]:
    """Subtract a plane (or the mean) and divide by the standard deviation, in place.

    Both are measured in the background and applied to all pixels.

    Parameters
    ----------
    images : ndarray, shape (n, box, box), float32
    background : Background
    subtract_plane : bool
        Fit and subtract a least-squares plane; otherwise only the mean is subtracted.
    inverted : bool
        Multiply the result by -1.
    work : ndarray, shape (n, box, box), float32, optional
        Memory that may be written to.

    Returns
    -------
    is_constant : ndarray, shape (n,), bool
        Images whose background does not vary; they are not divided.
    """
    n_pixels = len(background.pixels)
    sums, powers = background.sums(images, work)
    coefficients, variances = _fit(background, sums, powers, subtract_plane)
    # where the background is far from 0, single precision and a difference of squares do not serve
    for i in np.flatnonzero(~(variances > _RESOLVED * powers / n_pixels)):
        values = background.values(images[i : i + 1])  # (1, n_background)
        powers[i] = values[0] @ values[0]
        coefficients[i] = _fit(background, values @ background.basis, powers[i], subtract_plane)[0]
        variances[i] = np.var(values[0] - background.basis @ coefficients[i])

    deviations = np.sqrt(variances)
    is_constant: npt.NDArray[np.bool_] = deviations <= np.maximum(
        _ABSOLUTE_FLOOR, _RELATIVE_FLOOR * np.sqrt(powers / n_pixels)
    )
    if not subtract_plane:
        coefficients[is_constant] = 0.0
    scales = (-1.0 if inverted else 1.0) / np.where(is_constant, 1.0, deviations)
    coefficients *= scales[:, None]

    axis = background.axis
    along_x = coefficients[:, :1] + coefficients[:, 1:2] * axis  # (n, box)
    along_y = coefficients[:, 2:] * axis  # (n, box)
    images *= scales[:, None, None].astype(np.float32)
    images -= along_x[:, None, :].astype(np.float32)
    images -= along_y[:, :, None].astype(np.float32)
    return is_constant


def _fit(
    background: Background,
    sums: npt.NDArray[np.float64],
    powers: npt.NDArray[np.float64],
    subtract_plane: bool,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coefficients of the plane (n, 3), or of the mean alone, and variances about it (n,)."""
    n_pixels = len(background.pixels)
    if subtract_plane:
        coefficients = sums @ background.inverse_normal
    else:
        coefficients = np.zeros_like(sums)
        coefficients[:, 0] = sums[:, 0] / n_pixels
    return coefficients, (powers - np.einsum("ij,ij->i", sums, coefficients)) / n_pixels
