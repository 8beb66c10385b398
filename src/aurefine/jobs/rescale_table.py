"""Option table of *Map rescale*: the part of the image handler that changes the grid of a map."""

from __future__ import annotations

from dataclasses import replace

from aurefine.jobs.map_tools_table import IMAGE_HANDLER_OPTIONS
from aurefine.jobs.options import Form, Option, find_option

__all__ = ["RESCALE_OPTIONS"]

_FORMS: dict[str, Form] = {
    "rescale_pixel_size": Form(
        key="rescale_angpix", tab="I/O", label="New pixel size (A):", slider=(0.5, 10, 0.01),
        writes="positive",
    ),
    "new_box": Form(
        key="new_box", tab="I/O", label="New box size (pix):", slider=(64, 512, 8),
        writes="positive",
    ),
    "pixel_size": Form(
        key="angpix", tab="I/O", label="Pixel size of the input (A):", writes="positive",
    ),
    "lowpass": Form(
        key="lowpass", tab="I/O", label="Low-pass filter (A):", slider=(-1, 100, 5),
        writes="positive",
    ),
    "n_threads": Form(
        key="nr_threads", tab="Running", label="Number of threads:", slider=(1, 16, 1),
        continues="both",
    ),
}  # fmt: skip

RESCALE_OPTIONS: tuple[Option, ...] = (
    Option(
        name="input", flag="--in_3dref", aliases=("--i",), kind="path", required=True, tab="I/O",
        label="Input 3D map", help="Map to bring to another pixel size and box.",
        form=Form(
            key="in_3dref", label="Input 3D map:", default="",
            nodes=("map", "postprocessed", "halfmap", "mask"), pattern="*.mrc *.map",
            is_required=True,
        ),
    ),
    Option(
        name="output_folder", flag="--o", kind="path", required=True, tab="I/O",
        label="Output folder", in_form=False,
        help="Folder (of the job) to write rescaled.mrc to.",
    ),
    *(
        replace(find_option(IMAGE_HANDLER_OPTIONS, name), form=form)
        for name, form in _FORMS.items()
    ),
    *(
        replace(find_option(IMAGE_HANDLER_OPTIONS, name), in_form=name != "pipeline_control")
        for name in ("header_pixel_size", "highpass", "float16", "pipeline_control")
    ),
)  # fmt: skip
