"""What RQ's workers run. Worker: rq worker images"""

import time


def generate(seconds: float) -> str:
    """Takes as long as a picture would; it makes none."""
    time.sleep(seconds)
    return f"done after {seconds:g} s"
