"""The pipeline file ``default_pipeline.star``: jobs, their files, and what came from what."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from aurefine.errors import StarError
from aurefine.io.star_cells import CellFile, read_cells, write_cells
from aurefine.project.types import (
    STATUSES,
    Dialect,
    Status,
    node_from_number,
    node_number,
    process_from_number,
    process_number,
    renamed_node,
)

__all__ = ["Pipeline", "Process", "read_pipeline", "write_pipeline"]

_VERSIONS: dict[Dialect, int] = {"3.1": 30001, "5.0": 50001}
_EXTERNAL = 99  # what a process of an unknown kind is for RELION 3.1
_FIRST_OF_5 = 50001


@dataclass(frozen=True, slots=True)
class Process:
    """One job.

    Attributes
    ----------
    name : str
        ``Refine3D/job012/``, with the slash.
    alias : str
        ``Refine3D/first3dref/`` or "".
    type : str
        RELION 5's label, e.g. ``relion.refine3d``; an unknown number of RELION 3.1 as text.
    status : str
        Running, Scheduled, Succeeded, Failed or Aborted.
    """

    name: str
    alias: str
    type: str
    status: Status


@dataclass(slots=True)
class Pipeline:
    """Everything in a pipeline file.

    Attributes
    ----------
    counter : int
        Number of the next job.
    processes : dict of str to Process
        By name, in file order.
    nodes : dict of str to str
        Path of a file to its type (RELION 5's label, or a number that RELION 3.1 wrote and that
        has no label), in file order.
    inputs : list of (str, str)
        (node, process).
    outputs : list of (str, str)
        (process, node).
    dialect : str
        Version of RELION whose format the file has.
    """

    counter: int = 1
    processes: dict[str, Process] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    inputs: list[tuple[str, str]] = field(default_factory=list)
    outputs: list[tuple[str, str]] = field(default_factory=list)
    dialect: Dialect = "3.1"

    def process_of_path(self, path: str) -> str:
        """Return the name of the job in whose folder a file lies, "" if there is none."""
        parts = path.split("/")
        name = "/".join(parts[:2]) + "/" if len(parts) > 2 else ""
        return name if name in self.processes else ""

    def without_alias(self, path: str) -> str:
        """Return a path with the name of the job in place of its alias."""
        for process in self.processes.values():
            if process.alias and path.startswith(process.alias):
                return process.name + path[len(process.alias) :]
        return path

    def with_alias(self, path: str) -> str:
        """Return a path with the alias of the job, if it has one, in place of its name."""
        process = self.processes.get(self.process_of_path(path))
        return process.alias + path[len(process.name) :] if process and process.alias else path

    def add_input(self, node: str, type_label: str, process: str) -> None:
        """Add an input file of a job, and its producer if it lies in the folder of one."""
        node = self.without_alias(node)
        if node not in self.nodes:
            self.nodes[node] = type_label
            producer = self.process_of_path(node)
            if producer and (producer, node) not in self.outputs:
                self.outputs.append((producer, node))
        if (node, process) not in self.inputs:
            self.inputs.append((node, process))

    def add_output(self, process: str, node: str, type_label: str) -> None:
        """Add an output file of a job."""
        self.nodes.setdefault(node, type_label)
        if (process, node) not in self.outputs:
            self.outputs.append((process, node))

    def drop_edges(self, process: str) -> None:
        """Forget inputs and outputs of a job, and files that nothing is known about any more."""
        self.inputs = [edge for edge in self.inputs if edge[1] != process]
        self.drop_outputs(process, [node for name, node in self.outputs if name == process])
        self.drop_unused_nodes()

    def drop_outputs(self, process: str, nodes: Iterable[str]) -> None:
        """Forget output files of a job, together with the edges that lead from them."""
        gone = set(nodes)
        self.outputs = [e for e in self.outputs if not (e[0] == process and e[1] in gone)]
        self.inputs = [edge for edge in self.inputs if edge[0] not in gone]
        self.nodes = {name: label for name, label in self.nodes.items() if name not in gone}

    def drop_unused_nodes(self) -> None:
        """Forget files that are neither input nor output of a job."""
        used = {node for node, _ in self.inputs} | {node for _, node in self.outputs}
        self.nodes = {name: label for name, label in self.nodes.items() if name in used}

    def part(self, processes: Iterable[str]) -> Pipeline:
        """Return a pipeline of some jobs alone, with their files and edges."""
        names = set(processes)
        inputs = [edge for edge in self.inputs if edge[1] in names]
        outputs = [edge for edge in self.outputs if edge[0] in names]
        files = {node for node, _ in inputs} | {node for _, node in outputs}
        return Pipeline(
            counter=2,
            processes={n: p for n, p in self.processes.items() if n in names},
            nodes={name: label for name, label in self.nodes.items() if name in files},
            inputs=inputs,
            outputs=outputs,
            dialect=self.dialect,
        )


def read_pipeline(path: str | os.PathLike[str]) -> Pipeline:
    """Read a pipeline file of RELION 3.1 to 5.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    pipeline : Pipeline

    Raises
    ------
    StarError
        If the file is missing, malformed or not a pipeline.
    """
    if not Path(path).exists():
        raise StarError(
            f"{path}: there is no such file: this folder is not a project. "
            "'aurefine project init' makes one."
        )
    file = read_cells(path)
    general = file.values("pipeline_general")
    counter = general.get("rlnPipeLineJobCounter", "")
    if not counter.isdigit():
        raise StarError(
            f"{path}: data_pipeline_general has no rlnPipeLineJobCounter: this is not a pipeline "
            "file, or it is damaged. The folder of each job holds a copy (default_pipeline.star)."
        )
    try:
        pipeline = _from_cells(file)
    except (KeyError, ValueError, IndexError) as error:
        raise StarError(f"{path}: not a pipeline file of RELION: {error}.") from None
    pipeline.counter = int(counter)
    return pipeline


def _from_cells(file: CellFile) -> Pipeline:
    processes, nodes = file.table("pipeline_processes"), file.table("pipeline_nodes")
    has_labels = "rlnPipeLineProcessTypeLabel" in processes.labels
    if not processes.rows:
        has_labels = (file.version or 0) >= _FIRST_OF_5
    pipeline = Pipeline(dialect="5.0" if has_labels else "3.1")
    if processes.rows:
        names = processes.column("rlnPipeLineProcessName")
        aliases = processes.column("rlnPipeLineProcessAlias")
        if has_labels:
            types = processes.column("rlnPipeLineProcessTypeLabel")
            statuses = processes.column("rlnPipeLineProcessStatusLabel")
        else:
            numbers = processes.column("rlnPipeLineProcessType")
            types = [process_from_number(int(number)) for number in numbers]
            numbers = processes.column("rlnPipeLineProcessStatus")
            statuses = [STATUSES[int(number)] for number in numbers]
        for name, alias, kind, status in zip(names, aliases, types, statuses, strict=True):
            if status not in STATUSES:
                raise ValueError(f"job {name} has the unknown status {status!r}")
            alias = "" if alias in ("None", "") else alias
            for text in (name, alias):
                if text and not _is_inside(text):
                    raise ValueError(f"{text!r} is not the folder of a job (Type/name/)")
            pipeline.processes[name] = Process(name, alias, kind, status)
    if nodes.rows:
        if "rlnPipeLineNodeTypeLabel" in nodes.labels:
            labels = [renamed_node(text) for text in nodes.column("rlnPipeLineNodeTypeLabel")]
        else:
            labels = [node_from_number(int(text)) for text in nodes.column("rlnPipeLineNodeType")]
        pipeline.nodes = dict(zip(nodes.column("rlnPipeLineNodeName"), labels, strict=True))
    inputs, outputs = file.table("pipeline_input_edges"), file.table("pipeline_output_edges")
    if inputs.rows:
        starts = inputs.column("rlnPipeLineEdgeFromNode")
        pipeline.inputs = list(zip(starts, inputs.column("rlnPipeLineEdgeProcess"), strict=True))
    if outputs.rows:
        starts = outputs.column("rlnPipeLineEdgeProcess")
        pipeline.outputs = list(zip(starts, outputs.column("rlnPipeLineEdgeToNode"), strict=True))
    return pipeline


def _is_inside(name: str) -> bool:
    """Whether the name of a job, or an alias, leads to a folder of the project."""
    parts = name.split("/")
    return len(parts) == 3 and not parts[2] and not {"", ".", ".."} & set(parts[:2])


def write_pipeline(path: str | os.PathLike[str], pipeline: Pipeline) -> None:
    """Write a pipeline file in its dialect; the old file or the new one exists at any moment.

    In RELION 3.1's dialect files without a number (the optimiser of a refinement) are left out, as
    RELION 3.1 does, and jobs of unknown kinds become external ones.

    Raises
    ------
    OutputError
        If the file can not be written.
    """
    is_old = pipeline.dialect == "3.1"
    process_rows: list[tuple[object, ...]] = []
    for p in pipeline.processes.values():
        alias = p.alias or "None"
        if is_old:
            number = process_number(p.type)
            kind = _EXTERNAL if number is None else number
            process_rows.append((p.name, alias, kind, STATUSES.index(p.status)))
        else:
            process_rows.append((p.name, alias, p.type, p.status))
    node_rows: list[tuple[object, ...]] = []
    left_out: set[str] = set()
    for name, label in pipeline.nodes.items():
        number = node_number(label)
        if not is_old:
            node_rows.append((name, label, 1))
        elif number is not None:
            node_rows.append((name, number))
        else:
            left_out.add(name)
    kinds = (
        ("rlnPipeLineProcessType", "rlnPipeLineProcessStatus")
        if is_old
        else ("rlnPipeLineProcessTypeLabel", "rlnPipeLineProcessStatusLabel")
    )
    node_labels = (
        ("rlnPipeLineNodeType",)
        if is_old
        else ("rlnPipeLineNodeTypeLabel", "rlnPipeLineNodeTypeLabelDepth")
    )
    write_cells(
        path,
        {
            "pipeline_general": {"rlnPipeLineJobCounter": pipeline.counter},
            "pipeline_processes": (
                ("rlnPipeLineProcessName", "rlnPipeLineProcessAlias", *kinds),
                process_rows,
            ),
            "pipeline_nodes": (("rlnPipeLineNodeName", *node_labels), node_rows),
            "pipeline_input_edges": (
                ("rlnPipeLineEdgeFromNode", "rlnPipeLineEdgeProcess"),
                [edge for edge in pipeline.inputs if edge[0] not in left_out],
            ),
            "pipeline_output_edges": (
                ("rlnPipeLineEdgeProcess", "rlnPipeLineEdgeToNode"),
                [edge for edge in pipeline.outputs if edge[1] not in left_out],
            ),
        },
        version=_VERSIONS[pipeline.dialect],
    )
