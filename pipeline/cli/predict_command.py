"""Define the command `zenfront predict`."""

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from zenfront.pipeline.errors import UserError

PREDICT = (
    "Examples: zenfront predict exports/birds-5f0c2a/ photos/ --output birds.csv · "
    "zenfront predict model.onnx a.jpg b.jpg"
)


def predict_command(
    export: Annotated[
        Path, typer.Argument(metavar="EXPORT", help="Folder, .onnx file or .pt2 file that `zenfront export` wrote.")
    ],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGES...", help="Images, and folders with all images below them.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="CSV file to write.  [default: the terminal]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    allow_code: Annotated[
        bool,
        typer.Option(
            "--allow-code",
            help="Run code of the export, with all your rights: reading a .pt2 file can run some, and the network "
            "of your own space is code.",
        ),
    ] = False,
) -> None:
    """Classify images with an exported network.

    The result is a table in CSV: file, class, and the probability of each class. Images are decoded and normalised as
    in the test of the training. If each image lies in a folder that is named like a class, the accuracy is shown.
    """
    from zenfront.pipeline.export.prediction.formats import open_export
    from zenfront.pipeline.export.prediction.table import accuracy, write_table
    from zenfront.pipeline.record.files.whole_file import write_whole
    from zenfront.pipeline.training.images.unlabelled import find_images
    from zenfront.pipeline.wording import number, percent

    if output and output.exists() and not force:
        raise UserError(f"{output} exists already. Name another file, or replace it with --force.")
    rows = find_images(images)
    network = open_export(export, allow_code)
    for note in (*rows.notes, *network.look(rows)):
        typer.echo(note, err=True)
    probabilities = network.probabilities(rows)
    names = network.classes or tuple(str(index) for index in range(probabilities.shape[1]))
    text = io.StringIO()
    write_table(text, rows, names, probabilities)
    if output:
        try:
            with write_whole(output) as aside:
                aside.write_text(text.getvalue(), encoding="utf-8")
        except OSError as error:
            raise UserError(f"cannot write {output}: {error.strerror}.") from error
        typer.echo(f"{number(len(rows))} images: {output}")
    else:
        sys.stdout.write(text.getvalue())
    if (share := accuracy(rows, names, probabilities)) is not None:
        typer.echo(
            f"accuracy {percent(share, 2)} of {number(len(rows))} images, by the names of their folders", err=True
        )
