"""Fields of *3D auto-refine* that become other words on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

__all__ = ["ANGLES", "angular_order", "finer_faster", "offset_step", "padding", "solvent_fsc"]

# what oversampling 1 leaves of orders 1, 2, ...
ANGLES = (
    "30 degrees", "15 degrees", "7.5 degrees", "3.7 degrees", "1.8 degrees", "0.9 degrees",
    "0.5 degrees", "0.2 degrees", "0.1 degrees",
)  # fmt: skip


def angular_order(key: str, flag: str) -> Callable[[Mapping[str, str]], list[str]]:
    """Return the function from an angle of the form to the order before oversampling."""

    def argument(values: Mapping[str, str]) -> list[str]:
        return [flag, str(ANGLES.index(values[key]))]

    return argument


def offset_step(values: Mapping[str, str]) -> list[str]:
    """Double the step of the form, because oversampling halves it."""
    return ["--offset_step", f"{2 * float(values['offset_step']):g}"]


def finer_faster(values: Mapping[str, str]) -> list[str]:
    """Switch both options on that let the sampling follow the resolution."""
    is_on = values["auto_faster"] == "Yes"
    return ["--auto_ignore_angles", "--auto_resol_angles"] if is_on else []


def padding(values: Mapping[str, str]) -> list[str]:
    """Turn *Skip padding?* into the factor."""
    return ["--pad", "1" if values["do_pad1"] == "Yes" else "2"]


def solvent_fsc(values: Mapping[str, str]) -> list[str]:
    """Correct the FSC for the solvent only if there is a mask."""
    is_on = values["do_solvent_fsc"] == "Yes" and values["fn_mask"].strip()
    return ["--solvent_correct_fsc"] if is_on else []
