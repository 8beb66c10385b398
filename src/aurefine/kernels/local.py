"""Orientations in the neighbourhood of each particle's pose (spec 3.8, local searches)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["fill_local_orientations"]


@njit(nogil=True, cache=True, forceinline=True, error_model="numpy")
def _centre_psi(pose, rot, tilt):
    """In-plane angle [rad] at a direction that is nearest to the pose as a full rotation.

    Near a pole rot and psi turn against each other; the best psi at the direction (rot, tilt)
    maximises the trace of pose times the transposed matrix.
    """
    cr = math.cos(rot)
    sr = math.sin(rot)
    ct = math.cos(tilt)
    st = math.sin(tilt)
    # rows of the matrix for psi = 0
    a0 = ct * cr
    a1 = ct * sr
    a2 = -st
    b0 = -sr
    b1 = cr
    # trace(pose @ A(psi)^T) = cos(psi) * u + sin(psi) * v + constant
    u = pose[0, 0] * a0 + pose[0, 1] * a1 + pose[0, 2] * a2 + pose[1, 0] * b0 + pose[1, 1] * b1
    v = pose[0, 0] * b0 + pose[0, 1] * b1 - pose[1, 0] * a0 - pose[1, 1] * a1 - pose[1, 2] * a2
    return math.atan2(v, u)


@njit(nogil=True, cache=True, error_model="numpy")
def fill_local_orientations(
    poses,
    first,
    rot,
    tilt,
    pixel,
    angle,
    n_psi,
    sigma_direction,
    sigma_psi,
    perturbation,
    start,
    n_found,
    orientation,
    log_prior,
    rotations,
):
    """List the coarse orientations of local searches with their log priors.

    Parameters
    ----------
    poses : float64, shape (n_particles, 3, 3)
        Current orientations (map to image).
    first : int64, shape (n_particles + 1,)
        Neighbouring directions of each particle.
    rot, tilt : float64, shape (n_neighbours,)
        Directions [rad].
    pixel : int64, shape (n_neighbours,)
    angle : float64, shape (n_neighbours,)
        Angle to the particle's direction [rad].
    n_psi : int
    sigma_direction, sigma_psi : float
        Standard deviations of the priors [rad]; directions were cut off by the caller, in-plane
        angles are cut off at three sigma, or the nearest one is taken.
    perturbation : float64, shape (3, 3)
    start : int64, shape (n_particles + 1,)
        Where the list of each particle begins in the outputs.
    n_found : int64, shape (n_particles,)
    orientation : int64, shape (n_points,)
        pixel * n_psi + index of the in-plane angle.
    log_prior : float32, shape (n_points,)
        Log of the prior divided by its mean over the particle's list.
    rotations : float32, shape (n_points, 3, 3)
    """
    step = 2 * math.pi / n_psi
    cutoff = 3 * sigma_psi
    for p in range(n_found.size):
        n = start[p]
        smallest = math.inf  # the nearest direction has weight 1, however far away it is
        for i in range(first[p], first[p + 1]):
            smallest = min(smallest, angle[i])
        for i in range(first[p], first[p + 1]):
            log_weight = 0.5 * (smallest**2 - angle[i] ** 2) / sigma_direction**2
            centre = _centre_psi(poses[p], rot[i], tilt[i])
            nearest = math.floor(centre / step + 0.5)
            reach = min(math.ceil(cutoff / step), (n_psi - 1) // 2)
            begin = n
            psi_total = 0.0
            for k in range(nearest - reach, nearest + reach + 1):
                difference = abs(k * step - centre)
                if difference < cutoff:
                    psi_total += math.exp(-0.5 * (difference / sigma_psi) ** 2)
            for k in range(nearest - reach, nearest + reach + 1):
                difference = abs(k * step - centre)
                share = 1.0
                if psi_total > 0:
                    if difference >= cutoff:
                        continue
                    share = math.exp(-0.5 * (difference / sigma_psi) ** 2) / psi_total
                elif k != nearest:
                    continue
                orientation[n] = pixel[i] * n_psi + k % n_psi
                log_prior[n] = log_weight + math.log(share)
                n += 1
            cr = math.cos(rot[i])
            sr = math.sin(rot[i])
            ct = math.cos(tilt[i])
            st = math.sin(tilt[i])
            for q in range(begin, n):
                psi = (orientation[q] % n_psi) * step
                cp = math.cos(psi)
                sp = math.sin(psi)
                a = np.empty((3, 3))
                a[0, 0] = cp * ct * cr - sp * sr
                a[0, 1] = cp * ct * sr + sp * cr
                a[0, 2] = -cp * st
                a[1, 0] = -sp * ct * cr - cp * sr
                a[1, 1] = -sp * ct * sr + cp * cr
                a[1, 2] = sp * st
                a[2, 0] = st * cr
                a[2, 1] = st * sr
                a[2, 2] = ct
                for r in range(3):
                    for c in range(3):
                        rotations[q, r, c] = (
                            a[r, 0] * perturbation[0, c]
                            + a[r, 1] * perturbation[1, c]
                            + a[r, 2] * perturbation[2, c]
                        )
        n_found[p] = n - start[p]
        total = 0.0
        for q in range(start[p], n):
            total += math.exp(log_prior[q])
        shift = math.log(total / (n - start[p]))
        for q in range(start[p], n):
            log_prior[q] -= shift
