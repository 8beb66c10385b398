"""Gaussian blobs with a known transform, their noise-free images, and what holds them."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from aurefine.geometry.directions import asymmetric_unit
from aurefine.geometry.euler import matrix_from_euler
from aurefine.geometry.sampling import angular_step
from aurefine.geometry.symmetry import point_group
from aurefine.optics.ctf import CtfParameters, ctf_values
from aurefine.parallel.pool import WorkerPool
from aurefine.refine.initialise import initial_sampling
from aurefine.refine.options import RefineOptions
from aurefine.refine.particles import ParticleSet
from aurefine.refine.plan import make_plan
from aurefine.refine.state import HalfModel, Poses

BOX, PIXEL = 32, 4.0
CENTRES = np.array(
    [
        [14, 3, 20],
        [-22, 8, -4],
        [6, -18, -16],
        [-9, -12, 14],
        [20, 16, -8],
        [2, 24, 6],
        [-5, 2, -26],
    ],
    dtype=float,
)  # (x, y, z) Å
AMPLITUDES = np.array([1.0, 0.8, 1.2, 0.9, 0.7, 1.1, 1.0])
WIDTH = 5.0  # standard deviation, Å


@dataclass(frozen=True)
class Blobs:
    """A map made of Gaussians, symmetrised by a point group."""

    centres: np.ndarray
    amplitudes: np.ndarray

    def density(self, box=BOX, pixel=PIXEL):
        z, y, x = np.meshgrid(*[(np.arange(box) - box // 2) * pixel] * 3, indexing="ij")
        out = np.zeros((box,) * 3)
        for (cx, cy, cz), amplitude in zip(self.centres, self.amplitudes, strict=True):
            r2 = (x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2
            out += amplitude * np.exp(-r2 / (2 * WIDTH**2))
        return out.astype(np.float32)

    def transform(self, frequency):
        """Transform at frequencies (..., 3) [1/Å] on the scale of slices of the model."""
        scale = (2 * np.pi * WIDTH**2) ** 1.5 / PIXEL**3 / BOX**2
        decay = np.exp(-2 * (np.pi * WIDTH) ** 2 * (frequency**2).sum(axis=-1))
        waves = np.exp(-2j * np.pi * (frequency @ self.centres.T)) @ self.amplitudes
        return scale * decay * waves

    def image(self, group, ctf, matrix, offset):
        """Image whose stored offset is `offset` [Å], by the exact forward model (spec 1.1-1.6)."""
        n, extent = group.box_size, group.box_size * group.pixel_size
        ky, kx = np.meshgrid(np.fft.fftfreq(n, 1 / n), np.arange(n // 2 + 1), indexing="ij")
        s = np.stack([kx, ky], axis=-1) / extent
        model = s @ np.asarray(group.magnification).T
        values = self.transform(model @ matrix[:2])
        if ctf is not None:
            transfer = ctf_values(group, ctf, s[..., 0].ravel(), s[..., 1].ravel())
            values = values * transfer.reshape(kx.shape) ** (2 if group.is_premultiplied else 1)
        values *= np.exp(2j * np.pi * (s @ offset))
        # third-order coma of a tilted beam; wavelength of 300 kV electrons [Å]
        tilt = model @ np.array([group.beam_tilt_x, group.beam_tilt_y])
        coma = -2e4 * np.pi * group.spherical_aberration * 0.0196875**2
        values *= np.exp(1j * coma * (model**2).sum(axis=-1) * tilt)
        values[np.hypot(kx, ky) >= n // 2] = 0
        values *= 1 - 2 * ((kx + ky) % 2)
        return np.fft.irfft2(values * n**2, s=(n, n)).astype(np.float32)


@dataclass(frozen=True)
class ListedImages:
    """Images of any box sizes in memory."""

    images: list

    def read(self, indices):
        return np.stack([self.images[i] for i in indices])


@dataclass(frozen=True)
class Case:
    """Simulated particles with their true poses."""

    blobs: Blobs
    particles: ParticleSet
    poses: Poses

    @property
    def matrices(self):
        return matrix_from_euler(self.poses.rot, self.poses.tilt, self.poses.psi)


@pytest.fixture(scope="session")
def pool():
    with WorkerPool(1) as workers:
        yield workers


@pytest.fixture(scope="session")
def blobs():
    """Function (symmetry) -> Blobs."""

    def make(symmetry="C1"):
        operators = point_group(symmetry).matrices
        return Blobs(
            np.concatenate([CENTRES @ operator.T for operator in operators]),
            np.tile(AMPLITUDES, len(operators)),
        )

    return make


@pytest.fixture(scope="session")
def optics_group(optics_group):
    """Function (changes) -> OpticsGroup with the box of the model."""
    return partial(optics_group, pixel_size=PIXEL, box_size=BOX)


@pytest.fixture(scope="session")
def simulate(blobs, optics_group):
    """Function (n, ...) -> Case; offsets are whole pixels of each group plus `fraction` [Å]."""

    def make(n, *, groups=None, symmetry="C1", ctf=False, noise=0.0, fraction=0.0, seed=0):
        rng = np.random.default_rng(seed)
        groups = (optics_group(),) if groups is None else tuple(groups)
        source = blobs(symmetry)
        rot, psi = rng.uniform(-180, 180, (2, n))
        tilt = np.rad2deg(np.arccos(rng.uniform(-1, 1, n)))
        matrices = matrix_from_euler(rot, tilt, psi)
        optics = np.arange(n) % len(groups)
        pixel = np.array([g.pixel_size for g in groups])[optics]
        offsets = rng.integers(-2, 3, (n, 2)) * pixel[:, None] + fraction
        defocus = rng.uniform(8000, 20000, n)
        parameters = CtfParameters(
            defocus_u=defocus,
            defocus_v=defocus - 500,
            defocus_angle=rng.uniform(0, 180, n),
            bfactor=np.zeros(n),
            scale=np.ones(n),
            phase_shift=np.zeros(n),
        )
        images = []
        for i in range(n):
            group = groups[optics[i]]
            clean = source.image(
                group, parameters.take([i]) if ctf else None, matrices[i], offsets[i]
            )
            images.append(clean + noise * rng.normal(size=clean.shape).astype(np.float32))
        half = 1 + np.arange(n) // len(groups) % 2
        particles = ParticleSet(
            images=ListedImages(images),
            optics_groups=groups,
            optics=optics,
            ctf=parameters,
            micrograph_group=optics,
            noise_group=optics,
            half=half,
        )
        poses = Poses(
            rot=rot,
            tilt=tilt,
            psi=psi,
            offset_x=offsets[:, 0],
            offset_y=offsets[:, 1],
            class_number=np.ones(n, np.int64),
            half=half,
            norm_correction=np.ones(n),
            log_likelihood=np.zeros(n),
            pmax=np.zeros(n),
            n_significant=np.zeros(n, np.int64),
        )
        return Case(source, particles, poses)

    return make


@pytest.fixture(scope="session")
def options():
    """Function (changes) -> RefineOptions for the simulated particles."""

    def make(**changes):
        values = {
            "particle_diameter": 110.0,
            "mask_edge_px": 2,
            "zero_mask": True,
            "healpix_order": 1,
            "offset_range_px": 0.0,
            "offset_step_px": 1.0,
            "perturbation_factor": 0.0,
            "random_seed": 1,
        }
        return RefineOptions(**(values | changes))

    return make


@pytest.fixture(scope="session")
def half_model():
    """Function (case, n_directions) -> HalfModel with white noise."""

    def make(case, n_directions=48, sigma2=1e-7):
        n_groups, n_shells = len(case.particles.optics_groups), BOX // 2 + 1
        nothing = np.zeros(n_shells)
        return HalfModel(
            map=case.blobs.density(),
            sigma2_noise=np.full((n_groups, n_shells), sigma2),
            group_scale=np.ones(n_groups),
            group_n_particles=np.bincount(case.particles.optics, minlength=n_groups),
            direction_prior=np.full(n_directions, 1 / n_directions),
            norm_average=1.0,
            sigma_offset=10.0,
            tau2=nothing,
            sigma2_map=nothing,
            data_vs_prior=nothing,
            fsc=nothing,
            fourier_coverage=nothing,
            orientability=nothing,
            log_likelihood=0.0,
            average_pmax=0.0,
        )

    return make


@pytest.fixture(scope="session")
def plan_for():
    """Function (case, options, ...) -> IterationPlan at a model size, by default the whole box."""

    def make(case, options, *, current_size=BOX, symmetry="C1", padding=2.0, **sampling):
        state = replace(initial_sampling(options, PIXEL), **sampling)
        group = point_group(symmetry)
        return make_plan(
            box=BOX,
            pixel_size=PIXEL,
            current_size=current_size,
            coarse_step=angular_step(state.order),
            group=group,
            grid=asymmetric_unit(state.order, group),
            sampling=state,
            optics_groups=case.particles.optics_groups,
            padding=padding,
            options=options,
            particle_diameter=options.particle_diameter,
            use_correlation=False,
            reference_has_ctf=options.ctf,
            mtf_curves=case.particles.mtf_curves,
        )

    return make
