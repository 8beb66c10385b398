"""Refine a map from Python and look at the result as arrays and tables.

    python examples/refine_from_python.py [FOLDER]

Simulates a few hundred small images of beta-galactosidase first, so that it runs in seconds.
"""

import sys
from pathlib import Path

import numpy as np

import aurefine
from aurefine.jobs import simulate


def main(folder: Path) -> None:
    """Simulate, refine, and print what the result holds."""
    simulate.run_job(
        {"preset": "demo", "output": str(folder), "n_particles": 200, "box": "32",
         "pixel_size": "7.08", "snr": 0.2}
    )  # fmt: skip

    result = aurefine.refine(
        particles=str(folder / "particles.star"),
        reference=str(folder / "reference.mrc"),
        output=str(folder / "Refine3D/job001/run"),
        symmetry="D2",
        ctf=True,
        norm=True,
        scale=True,
        firstiter_cc=True,
        initial_lowpass=50,
        particle_diameter=190,
        flatten_solvent=True,
        zero_mask=True,
        low_resol_join_halves=40,
        healpix_order=1,
        random_seed=1,
        n_threads=2,
    )

    print(f"converged: {result.has_converged}, resolution: {result.resolution:.1f} Å")
    print(f"map: {result.map.shape}, {result.pixel_size} Å/px, half maps: {len(result.half_maps)}")

    columns = ["iteration", "resolution", "accuracy_angles", "angular_step", "pmax", "seconds"]
    print(result.history[columns].to_string(index=False, float_format="%.2f"))

    shells = np.arange(1, len(result.fsc))  # shell 0 is the mean of the map
    for shell in shells[::3]:
        resolution = len(result.map) * result.pixel_size / shell
        print(f"FSC at {resolution:6.1f} Å: {result.fsc[shell]:.3f}")

    print(result.particles[["rlnImageName", "rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]].head())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "python_output"))
