"""The conformance kit: checks that a plugin's models, datasets, losses, metrics and tasks do what they declare.

From the command line ``rsbench plugins check NAME``; from pytest, with rsbench installed and nothing to import::

    @pytest.mark.rsbench_plugin("my-plugin")
    def test_conformance(rsbench_checks):
        rsbench_checks()

which becomes one test for each check of each spec.  A check that a spec fails by its nature is declared by the hook
``rsbench_expected_failures`` with the reason.
"""

from rsbench.testing.contract import Case, Check, CheckFailure, NotApplicable, Result
from rsbench.testing.run import cases

__all__ = ["Case", "Check", "CheckFailure", "NotApplicable", "Result", "cases"]
