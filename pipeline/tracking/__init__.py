"""MLflow as a mirror of the record, which is filled in the background and can be filled again at any time.

An experiment is a parent run with a child run for each member of the front (`_entries` defines their content) and all
scored candidates as one parquet artifact. Importing this package does not import MLflow.
"""

from zenfront.pipeline.tracking._comparison import log_comparison
from zenfront.pipeline.tracking._mirror import Mirror, sync
from zenfront.pipeline.tracking._registration import Registered, register
from zenfront.pipeline.tracking._store import default_store, default_uri, experiment_pages, shown_uri, tracking_uri
from zenfront.pipeline.tracking._study import StudyPart, log_study

__all__ = [
    "Mirror",
    "Registered",
    "StudyPart",
    "default_store",
    "default_uri",
    "experiment_pages",
    "log_comparison",
    "log_study",
    "register",
    "shown_uri",
    "sync",
    "tracking_uri",
]
