"""The only door to Ray: sessions, workers and the tuner."""

import os

# Ray reads these when it is imported.
os.environ |= {
    "RAY_AIR_NEW_OUTPUT": "0",  # with verbose=0 the only silent combination
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files beside our record
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the stages say what failed, in one line
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # its own would wait for the steps in flight, however long they take
    "TUNE_FORCE_TRIAL_CLEANUP_S": "1",  # nor is a worker that hangs waited for when an error has ended the work
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # no snapshots of a state that is never restored
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
