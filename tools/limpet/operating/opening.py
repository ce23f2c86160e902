"""An address in the user's browser."""

import contextlib
import os
import webbrowser


def opened(url: str) -> bool:
    """Have the user's browser show it; whether there is one. A browser that would take this
    terminal for itself is none.
    """
    with contextlib.suppress(webbrowser.Error):
        browser = webbrowser.get(None)
        # Those of the terminal are of this very class; what runs beside us inherits from it.
        if type(browser) is webbrowser.GenericBrowser and not os.environ.get("BROWSER"):
            return False
        return browser.open(url)
    return False
