"""What an earlier boot has said of a sensor that is not there any more. Loaded at the start of a
boot and let go of.
"""

from node.shared.unimport import unimport

_SILENT = "sensor-silent"  # how such an alert's name ends: see sampler.py


def cleared(sensors, raised, alert):
    """Clear the alerts of sensors that are not among `sensors`, which nobody else ever would;
    return `sensors`.

    raised: names of the alerts that are raised, which changes. alert: see reporting/alerts.py.
    """
    unimport("node.readings.gone")  # when this returns
    asked = [(each.name and each.name + "-") + _SILENT for each in sensors]
    for name in list(raised):
        if name.endswith(_SILENT) and name not in asked:
            alert(name, False)
    return sensors
