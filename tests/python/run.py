"""Runs the Python tests and prints one JSON object: {"passed", "failed", "skipped", "failures", "skips"}.

Exit code 1 when a test failed or none was found.
"""

import json
import os
import sys
import unittest


class Counter(unittest.TestResult):
    """Counts tests; a test with failed subtests counts once."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    suite = unittest.defaultTestLoader.discover(os.path.dirname(os.path.abspath(__file__)))
    result = Counter()
    suite.run(result)
    broken = {}
    for test, trace in [*result.failures, *result.errors]:
        broken.setdefault(getattr(test, "test_case", test).id(), trace)
    for test in result.unexpectedSuccesses:
        broken.setdefault(test.id(), "expected to fail, and passed")
    report = {
        "passed": result.passed,
        "failed": len(broken),
        "skipped": len(result.skipped),
        "failures": [{"test": test, "trace": trace} for test, trace in broken.items()],
        "skips": [{"test": test.id(), "reason": reason} for test, reason in result.skipped],
    }
    print(json.dumps(report, indent=1))
    return 1 if broken or result.testsRun == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
