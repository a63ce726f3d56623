"""Sessions, workers and Tune runs: the package that the stages reach Ray through."""

import os

# Set before `import ray`, which reads them.
os.environ |= {
    "RAY_AIR_NEW_OUTPUT": "0",  # silences Tune together with verbose=0; nothing else does
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files beside the record
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the stages report a failure in one line
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's handler waits for all steps in flight
    "TUNE_FORCE_TRIAL_CLEANUP_S": "1",  # do not wait for a hung worker after an error
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # no snapshots: Tune's state is never restored
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
