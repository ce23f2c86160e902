"""What `make` calls before there is anything: it makes .venv; `clean` removes it, `lock` writes
what goes into it. Runs on any Python 3, to be able to say that it is too old.
"""

from __future__ import annotations

import pathlib
import sys


def main() -> None:
    """Do what is asked, or end the program with cause and remedy."""
    # Said here too: PYTHONSAFEPATH would leave it out.
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    from limpet_setup import steps, venv

    try:
        if sys.argv[1:] == ["clean"]:
            from limpet_setup.cleaning import clean

            clean()
        elif sys.argv[1:] == ["lock"]:
            from limpet_setup.locking import lock

            lock()
        else:
            venv.make()
    except KeyboardInterrupt:
        sys.exit("\nlimpet: interrupted; start again, it goes on where it stopped.")
    except OSError as error:
        steps.refuse(f"{error.filename or venv.VENV}: {error.strerror}.", steps.remedy(str(error)))


if __name__ == "__main__":
    main()
