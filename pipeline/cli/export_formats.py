"""Formats of an export beside the folder with `model.py`: ONNX, torch.export, and a model in MLflow."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.export.subject import Subject
from zenfront.pipeline.record.run_folder import RunFolder

ONNX, PT2, TIMM = "model.onnx", "model.pt2", "timm"


@dataclass(frozen=True)
class Formats:
    """Formats that are asked for.

    Attributes:
        onnx: Write an ONNX file.
        pt2: Write a file of torch.export.
        mlflow: Register the network in MLflow.
        normalise: Put the normalisation of the images into the network, in all formats but timm's.
        timm: Write a folder for timm.
    """

    onnx: bool = False
    pt2: bool = False
    mlflow: bool = False
    normalise: bool = False
    timm: bool = False

    @property
    def files(self) -> dict[str, str]:
        """Description by name of each file that is written."""
        images = "pixel values 0 .. 255" if self.normalise else "normalised images"
        taken = f"takes {images} (N, C, H, W) in float32 and returns what it computes (N, K)"
        found = {}
        if self.onnx:
            found[ONNX] = f"the network as an ONNX graph, which {taken}; its metadata have what config.json has"
        if self.pt2:
            found[PT2] = f"the network for `torch.export.load`, which {taken}"
        if self.timm:
            found[f"{TIMM}/"] = "the network under timm's names, for `timm.create_model`"
        return found

    def check(self, subject: Subject) -> None:
        """Check what can be checked before anything is written.

        Raises:
            UserError: An option does nothing, a package is missing, or there is no run or no normalisation.
        """
        from zenfront.pipeline.export.graph.module import exported_module
        from zenfront.pipeline.export.timm_folder import require_in_timm
        from zenfront.pipeline.formats import require_onnx

        if self.normalise and not (self.onnx or self.pt2 or self.mlflow):
            raise UserError("--normalise needs a format that it concerns: --onnx, --pt2 or --mlflow.")
        if self.mlflow and subject.facts.folder is None:
            raise UserError("--mlflow registers a network of a run, but --space exports one without. Leave it out.")
        if self.onnx:
            require_onnx()
        if self.timm:
            require_in_timm(subject)
        exported_module(subject, self.normalise)

    def write(self, subject: Subject, folder: Path) -> Iterator[str]:
        """Write the files; yield a line for the user after each.

        Raises:
            UserError: A file cannot be made, or does not compute what the network computes.
            OSError: A file cannot be written.
        """
        from zenfront.pipeline.export.graph.onnx_file import export_onnx
        from zenfront.pipeline.export.graph.pt2_file import export_pt2
        from zenfront.pipeline.export.timm_folder import write_timm_folder

        if self.onnx:
            found = export_onnx(subject, folder / ONNX, takes_pixels=self.normalise)
            yield f"{ONNX}: onnxruntime's outputs differ by at most {found:.1e} of the largest one"
        if self.pt2:
            found = export_pt2(subject, folder / PT2, takes_pixels=self.normalise)
            yield f"{PT2}: torch.export's outputs differ by at most {found:.1e} of the largest one"
        if self.timm:
            (folder / TIMM).mkdir()
            write_timm_folder(subject, folder / TIMM)
            yield f'{TIMM}/: for timm.create_model("local-dir:FOLDER/{TIMM}", pretrained=True)'

    def register(self, subject: Subject) -> Iterator[str]:
        """Register the network in MLflow if that is asked for; yield lines for the user.

        Raises:
            UserError: MLflow cannot be reached, or has no run of the network.
        """
        from zenfront.pipeline.export.graph.description import describe
        from zenfront.pipeline.export.graph.module import exported_module, random_images
        from zenfront.pipeline.tracking import register

        if not self.mlflow or subject.facts.folder is None:
            return
        module = exported_module(subject, self.normalise)
        example = random_images(subject, self.normalise, 2)
        facts = describe(subject, takes_pixels=self.normalise)
        made = register(RunFolder(subject.facts.folder), subject.id, module, example, facts)
        yield f"MLflow at {made.store}: version {made.version} of the model {made.name}, {made.uri}"
