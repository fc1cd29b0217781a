"""A plugin that was installed without what it needs."""

import a_missing_dependency  # noqa: F401
