"""Cleaning up after finished jobs: what can be made again goes to the trash."""

from __future__ import annotations

import re

from aurefine.errors import OptionError
from aurefine.project import Project
from aurefine.project.project import find_process
from aurefine.project.trash import move_to_trash

__all__ = ["clean_job"]

_ITERATION = re.compile(r"(run(?:_ct\d+)?)_it(\d+)_.*")


def clean_job(project: Project, job: str, *, harsh: bool = False) -> list[str]:
    """Move files that are not needed any more to the trash.

    Of a refinement all iterations but the last one, except for files that other jobs use; of an
    extraction the coordinate files of each micrograph, and if `harsh` the particle stacks.

    Parameters
    ----------
    project : Project
    job : str
        Name, number or alias.
    harsh : bool

    Returns
    -------
    names : list of str
        What is in the trash now, from the project folder.

    Raises
    ------
    OptionError
        If the job has not succeeded.
    """
    pipeline = project.pipeline()
    process = find_process(pipeline, job)
    if process.status != "Succeeded":
        raise OptionError(
            f"{process.name} is {process.status.lower()}; only finished jobs are cleaned."
        )
    folder = project.path / process.name
    used = {node for node, _ in pipeline.inputs} | {node for _, node in pipeline.outputs}
    names: list[str] = []
    if process.name.startswith("Refine3D/"):
        found = [
            (m[1], int(m[2]), p) for p in folder.iterdir() if (m := _ITERATION.fullmatch(p.name))
        ]
        groups = {(root, number) for root, number, _ in found}
        kept = {max(groups, key=lambda group: group[1])} if groups else set()
        kept |= {(r, n) for r, n, p in found if process.name + p.name in used}
        names = [process.name + p.name for r, n, p in found if (r, n) not in kept]
    elif process.name.startswith("Extract/"):
        places = [path for path in folder.iterdir() if path.is_dir()]
        if harsh:
            names = [process.name + path.name for path in places]
        else:
            names = [
                process.name + str(path.relative_to(folder))
                for place in places
                for path in place.rglob("*_extract.star")
            ]
    for name in sorted(names):
        move_to_trash(project.path, name)
    return sorted(names)
