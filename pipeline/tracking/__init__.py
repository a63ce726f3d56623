"""MLflow as a mirror of the record: filled in the background, and filled again from it at any time.

One parent run per experiment, one child run per member of the front (`_entries` says what they hold), and
all scored candidates as one parquet artifact. Importing this package does not import MLflow.
"""

from zenfront.pipeline.tracking._comparison import log_comparison
from zenfront.pipeline.tracking._mirror import Mirror, sync
from zenfront.pipeline.tracking._store import default_uri, shown_uri, tracking_uri
from zenfront.pipeline.tracking._study import log_study

__all__ = ["Mirror", "default_uri", "log_comparison", "log_study", "shown_uri", "sync", "tracking_uri"]
