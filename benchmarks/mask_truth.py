"""Resolution between half maps and to the true map, in several masks.

    python benchmarks/mask_truth.py --run Refine3D/job012/run --truth true_map.mrc --masks mask.mrc

Prints a Markdown table: whether a mask is too tight shows in a resolution between half maps that is
better than that to the true map in the same mask.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from aurefine.fourier import fsc_of_maps
from aurefine.imaging import soft_sphere
from aurefine.io.mrc import read_map
from aurefine.maps.curves import fsc_curves
from aurefine.maps.matching import match_grid
from measuring import crossing, surroundings

EDGE_PX = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="root of the files of a refinement")
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--masks", type=Path, nargs="*", default=[])
    parser.add_argument("--radius", type=float, default=95.0, help="of a sphere [Å]")
    arguments = parser.parse_args()
    joined, pixel_size = read_map(f"{arguments.run}_class001.mrc")
    truth, true_pixel_size = read_map(arguments.truth)
    if pixel_size is None or true_pixel_size is None:
        raise SystemExit("a map has no pixel size")
    n = len(joined)
    extent = n * pixel_size
    truth = match_grid(truth, true_pixel_size, box=n, wanted=pixel_size)
    half1, half2 = (read_map(f"{arguments.run}_half{i}_class001_unfil.mrc")[0] for i in (1, 2))
    masks = {
        f"sphere of {arguments.radius:g} Å": soft_sphere(n, arguments.radius / pixel_size, EDGE_PX)
    }
    masks |= {str(path): read_map(path)[0] for path in arguments.masks}
    print("\n".join(surroundings(sys.argv)))
    print(
        "\n| mask | volume [10⁶ Å³] | power of the true map inside | half maps, FSC 0.143 [Å] "
        "| corrected for the mask [Å] | true map, FSC 0.5 [Å] |\n|" + "---|" * 6
    )
    for name, mask in masks.items():
        curves = fsc_curves(half1, half2, mask, randomise_below=0.8, rng=np.random.default_rng(1))
        assert curves.masked is not None
        to_truth = fsc_of_maps(joined * mask, truth * mask)
        inside = float(((truth * mask) ** 2).sum() / (truth**2).sum())
        print(
            f"| {name} | {mask.sum() * pixel_size**3 / 1e6:.2f} | {100 * inside:.1f} % "
            f"| {crossing(curves.masked, 0.143, extent):.2f} "
            f"| {crossing(curves.corrected, 0.143, extent):.2f} "
            f"| {crossing(to_truth, 0.5, extent):.2f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
