"""The page's parts: each has `write(records)`, its Markdown, empty where nothing was measured."""

from __future__ import annotations

from typing import Any

Records = dict[str, dict[str, Any] | None]
