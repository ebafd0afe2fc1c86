"""Sends one message to Dramatiq, which has no program for it: python -m jobs.enqueue NAME SECONDS"""

import sys

from jobs.dramatiq import take

take.send(sys.argv[1], float(sys.argv[2]))
