"""Keras and TensorFlow, imported without TensorFlow's own log lines."""

import os
import sys
import tempfile

# Both are read by TensorFlow's C++ code while it is imported, never again.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"


def _import_quietly():
    """Import both with file descriptor 2 redirected; return the modules.

    TensorFlow's first lines are written before it reads its log level, and one more at the first
    operation, straight to the file descriptor: only a redirection stops them. If the import
    fails, what was written is shown, because then it may be the reason.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            import keras
            import tensorflow as tf

            tf.zeros(1)
        except BaseException:
            log.seek(0)
            os.write(saved, log.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
    return keras, tf


keras, tf = _import_quietly()

# Each network of a series of trainings is traced anew, as it must be; TensorFlow, which sees many
# in a row, takes that for a mistake.
tf.get_logger().addFilter(lambda record: "retracing" not in record.getMessage())
