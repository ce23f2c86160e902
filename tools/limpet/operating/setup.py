"""`limpet setup`: gets all that a later start needs, for a time without a network."""

from limpet.brokers.mosquitto.program import mosquitto as mosquitto_command
from limpet.node_host import debian
from limpet.node_host.interpreter import micropython
from limpet.node_host.umqtt import umqtt_dir


def setup(*, mosquitto: bool = False) -> None:
    """Get the interpreters and umqtt; what is there already is kept.

    Parameters
    ----------
    mosquitto
        Get mosquitto too, for tests with BROKER=mosquitto, and say where it is.
    """
    micropython()
    # For measuring. Where it cannot be had, nobody is told before they ask for it.
    if debian.available("i386"):
        micropython("i386")
    umqtt_dir()
    if mosquitto:
        words = mosquitto_command()
        print(f"limpet: mosquitto for the tests: {words[-1]}")
        if len(words) > 1:
            print("Unpacked for them alone; a broker to stay: apt install mosquitto")
