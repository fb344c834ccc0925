"""Lets pytest explain the assertions of the scenarios' checks."""

import pytest

pytest.register_assert_rewrite("tests.contract.official_python.scenarios")
