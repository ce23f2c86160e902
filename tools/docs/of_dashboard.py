"""Makes docs/prometheus/limpet-dashboard.json, for Grafana, from panels.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from docs.panels import MOST, ROWS, Panel, Row
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as values
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from limpet.heard.trouble import TROUBLES

UID = "limpet-fleet"
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
COLOURS = (
    "dark-red", "red", "orange", "dark-orange", "yellow", "purple", "text", "blue", "green",
)  # fmt: skip
# As Grafana calls the units, by the last word of a field's name.
UNITS = {
    "temperature": "celsius", "humidity": "percent", "pressure": "pressurehpa", "supply": "volt",
}  # fmt: skip
HEIGHTS = {"numbers": 4, "table": 9}
HEIGHT = 8
_REF = "ABCDEFGHIJ"

_Kind = TypeVar("_Kind", timeseries.Panel, stat.Panel, table.Panel)


def made() -> str:
    """Return the dashboard as its file has it."""
    built = (
        dashboard.Dashboard("Limpet: the fleet")
        .uid(UID)
        .description("Nodes and their broker, as `limpet exporter` shows them: docs/metrics.md.")
        .tags(["limpet", "mqtt"])
        .editable()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
    )
    for variable in _variables():
        built.with_variable(variable)
    for row in ROWS:
        _add(built, row)
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _add(built: dashboard.Dashboard, row: Row) -> None:
    head = dashboard.Row(row.title).id(row.id).collapsed(row.folded)
    if row.folded:
        for panel in row.panels:
            head.with_panel(_panel(panel))
    built.with_row(head)
    if not row.folded:
        for panel in row.panels:
            built.with_panel(_panel(panel))


def _variables() -> list[Any]:
    """Return what a person chooses: whose figures, of which devices, and how many lines."""
    source = dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    within = 'limpet_device_info{site=~"$site"'
    most = (
        dashboard.CustomVariable("most")
        .label("lines")
        .description("How many devices a panel shows, at most.")
        .values(",".join(map(str, MOST)))
        .current(model.VariableOption(text=str(MOST[0]), value=str(MOST[0])))
    )
    return [
        source,
        _query("site", "limpet_device_info, site"),
        _query("zone", within + "}, zone"),
        _query("device", within + ', zone=~"$zone"}, device'),
        _query("field", 'limpet_field{device=~"$device"}, field', None),
        most,
    ]


def _query(name: str, asked: str, everything: str | None = ".*") -> dashboard.QueryVariable:
    """Return a variable that Prometheus is asked for. everything: what All stands for; None: each
    of the values, so that a panel can be there for each.
    """
    found = (
        dashboard.QueryVariable(name)
        .datasource(SOURCE)
        .query(f"label_values({asked})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
    return found.all_value(everything) if everything else found


def _panel(panel: Panel) -> Any:
    if panel.kind == "table":
        return _table(panel)
    if panel.kind == "numbers":
        return _numbers(panel)
    return _lines(panel)


def _common(into: _Kind, panel: Panel) -> _Kind:
    into.id(panel.id).title(panel.title).description(panel.text).datasource(SOURCE)
    into.span(panel.width).height(HEIGHTS.get(panel.kind, HEIGHT)).unit(panel.unit)
    if panel.per:
        into.repeat(panel.per).repeat_direction("v")
    for letter, query in zip(_REF, panel.queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).expr(query.expr)
        if panel.kind == "table":
            target.instant().format(PromQueryFormat.TABLE)
        elif panel.kind == "numbers":
            target.instant().legend_format(query.legend)
        else:
            target.range().legend_format(query.legend)
        into.with_target(target)
    return into


def _lines(panel: Panel) -> timeseries.Panel:
    found = _common(timeseries.Panel(), panel)
    legend = (
        common.VizLegendOptions()
        .display_mode(values.LegendDisplayMode.TABLE)
        .placement(values.LegendPlacement.RIGHT)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    tooltip = common.VizTooltipOptions().mode(values.TooltipDisplayMode.MULTI)
    found.legend(legend).tooltip(tooltip.sort(values.SortOrder.DESCENDING))
    found.fill_opacity(5).show_points(values.VisibilityMode.NEVER)
    if panel.unit != "dBm" and not panel.per:
        found.min(0)
    if panel.kind == "stack":
        found.fill_opacity(60).line_width(0)
        found.stacking(common.StackingConfig().mode(values.StackingMode.NORMAL).group("A"))
    if panel.queries and panel.queries[0].legend in TROUBLES.values():
        _coloured(found, panel)
    if panel.whole is not None:
        found.max(panel.whole)
    if panel.limits:
        found.thresholds(_limits(*panel.limits))
        style = common.GraphThresholdsStyleConfig()
        found.thresholds_style(style.mode(values.GraphThresholdsStyleMode.DASHED))
    if panel.per:
        for word, unit in UNITS.items():
            found.override_by_regexp(f"/{word}/", [_value("unit", unit)])
    return found


def _numbers(panel: Panel) -> stat.Panel:
    found = _common(stat.Panel(), panel)
    found.graph_mode(values.BigValueGraphMode.NONE).color_mode(values.BigValueColorMode.VALUE)
    found.text_mode(values.BigValueTextMode.VALUE_AND_NAME).no_value("0")
    found.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    return _coloured(found, panel)


def _coloured(found: _Kind, panel: Panel) -> _Kind:
    for query, colour in zip(panel.queries, COLOURS, strict=True):
        fixed = {"mode": "fixed", "fixedColor": colour}
        found.override_by_name(query.legend, [_value("color", fixed)])
    return found


def _table(panel: Panel) -> table.Panel:
    found = _common(table.Panel(), panel)
    names = [query.legend for query in panel.queries]
    of_values = [f"Value #{letter}" for letter, _ in zip(_REF, names, strict=False)]
    if len(names) == 1:
        of_values = ["Value"]
    titles = dict(zip(of_values, names, strict=True))
    hidden = {"Time": True} | {value: True for value, name in titles.items() if not name}
    shown = {value: name for value, name in titles.items() if name}
    labels = ["device", "consumer", "alertname", "severity", "alert", "site", "zone"]
    order = [*labels[:2], *shown, *labels[2:], "type", "firmware"]
    found.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    organize = {
        "excludeByName": hidden,
        "indexByName": {name: place for place, name in enumerate(order)},
        "renameByName": shown,
    }
    found.with_transformation(model.DataTransformerConfig(id_val="organize", options=organize))
    found.filterable(True)
    for name, unit in panel.units:
        found.override_by_name(name, [_value("unit", unit), _value("decimals", 0)])
    if "trouble" in names:
        found.override_by_name("trouble", [_value("mappings", _mappings()), *_as_text()])
        found.sort_by([common.TableSortByFieldState().display_name("trouble").desc(False)])
    elif names == ["left"]:
        found.sort_by([common.TableSortByFieldState().display_name("left").desc(False)])
        month, week = 30 * 86_400, 7 * 86_400
        steps = _limits(week, month, ("red", "yellow", "green")).build()
        found.override_by_name("left", [_value("thresholds", steps), *_as_text()])
    return found


def _as_text() -> list[model.DynamicConfigValue]:
    return [_value("custom.cellOptions", {"type": "color-text"})]


def _mappings() -> list[Any]:
    """Return the words and colours of the numbers of trouble."""
    options = {
        str(rank): model.ValueMappingResult(text=what, color=colour, index=rank)
        for rank, (what, colour) in enumerate(zip(TROUBLES.values(), COLOURS, strict=True))
    }
    return [model.ValueMap(options=options)]


def _limits(
    first: float, second: float, colours: Sequence[str] = ("green", "yellow", "red")
) -> dashboard.ThresholdsConfig:
    steps = zip((None, first, second), colours, strict=True)
    return (
        dashboard.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _value(name: str, value: Any) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=value)
