"""Registers the module `scenarios` for assertion rewriting, so that pytest explains its failed assertions."""

import pytest

pytest.register_assert_rewrite("tests.contract.official_python.scenarios")
