"""Fixtures for `limpet page`: a browser, and pages for it."""

from __future__ import annotations

from support.browser.chromium import chromium, visits
from support.browser.serving import serve

__all__ = ["chromium", "serve", "visits"]
