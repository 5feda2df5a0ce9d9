"""Which time zone a place is in, where its country (or its state, in the United States) says so."""

from functools import cache
from importlib.resources import files

_STATES = {
    "America/New_York": "CT DC DE FL GA IN KY MA MD ME MI NC NH NJ NY OH PA RI SC VA VT WV",
    "America/Chicago": "AL AR IA IL KS LA MN MO MS ND NE OK SD TN TX WI",
    "America/Denver": "CO ID MT NM UT WY",
    "America/Phoenix": "AZ",
    "America/Los_Angeles": "CA NV OR WA",
    "America/Anchorage": "AK",
    "Pacific/Honolulu": "HI",
}
# Countries whose other zones are far away or empty.
_NEARLY_ALL = {
    "CN": "Asia/Shanghai", "DE": "Europe/Berlin", "ES": "Europe/Madrid", "MY": "Asia/Kuala_Lumpur",
    "NZ": "Pacific/Auckland", "PT": "Europe/Lisbon", "UA": "Europe/Kyiv",
}  # fmt: skip


@cache
def zone_of_place() -> dict[str, str]:
    """Zones by `DE` or `US/CA`: of countries with one zone, and of states by the zone of most who live there."""
    zones: dict[str, list[str]] = {}
    for line in files("tzdata.zoneinfo").joinpath("zone.tab").read_text().splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            zones.setdefault(country, []).append(zone)
    single = {country: found[0] for country, found in zones.items() if len(found) == 1}
    return single | _NEARLY_ALL | {f"US/{state}": zone for zone, states in _STATES.items() for state in states.split()}
