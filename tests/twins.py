"""Every file in ``pipelines/`` in Python: the function of its name builds the same spec."""

from __future__ import annotations

import edgestream as es
from edgestream import count, first, last, max, mean, min
from tests.source_tree import ROOT

MQTT = "mqtt://localhost:1883"


def weather() -> es.Pipeline:
    return (
        es.pipeline("weather")
        .source(
            es.Mqtt(url=MQTT, topics=["sensors/+/telemetry"]),
            time=es.Time("ts", unit="ms", delay="2s"),
        )
        .where("temperature > -40 and temperature < 85")
        .window(
            tumbling="10s",
            by="device",
            aggregate={
                "n": count(),
                "mean": mean("temperature"),
                "min": min("temperature"),
                "max": max("temperature"),
                "humidity": mean("humidity"),
            },
        )
        .sink(es.Sqlite(path="weather.db", table="averages"))
    )


def cold_rooms() -> es.Pipeline:
    return (
        es.pipeline("cold-rooms", delivery="at_least_once")
        .source(
            es.Mqtt(url=MQTT, topics=["rooms/{room}/climate"]),
            name="readings",
            time=es.Time("ts", unit="ms", delay="5s", idle="1m"),
        )
        .stream("minutes", "readings")
        .window(
            tumbling="1m",
            by="room",
            late="5m",
            aggregate={
                "n": count(),
                "coldest": min("temperature"),
                "mean": mean("temperature"),
            },
        )
        .stream("too_warm", "minutes")
        .where("coldest > 8")
        .select("room", "window_start", "coldest")
        .sink(es.Sqlite(path="rooms.db", table="minutes"), name="history", from_="minutes")
        .sink(es.FileSink(path="late.ndjson"), name="late", from_="minutes.late")
        .sink(es.MqttSink(url=MQTT, topic="alerts/{room}"), name="alerts", from_="too_warm")
    )


def farm_uplink() -> es.Pipeline:
    return (
        es.pipeline("farm-uplink")
        .source(
            es.Mqtt(url=MQTT, topics=["farm/+/telemetry"]),
            name="field",
            time=es.Time("ts", unit="ms", delay="2s", idle="30s"),
        )
        .stream("minutes", "field")
        .window(
            tumbling="1m",
            by="device",
            aggregate={
                "n": count(),
                "temperature": mean("temperature"),
                "moisture": mean("moisture"),
            },
        )
        .sink(es.Sqlite(path="farm.db", table="minutes"), name="farm")
        .sink(
            es.Postgres(url="postgresql://edge@localhost/farm", table="minutes"),
            name="town",
            spool=es.Spool("64MiB", "31d", overflow="downsample", mark="replayed"),
        )
    )


def lora_garden() -> es.Pipeline:
    return (
        es.pipeline("lora-garden")
        .source(es.LoraSerial(port="/dev/ttyUSB0", address=1, network=18), name="radio")
        .stream("readings", "radio")
        .where("t > -40 and t < 85 and h >= 0 and h <= 100")
        .set(fahrenheit="t * 9 / 5 + 32")
        .stream("minutes", "readings")
        .window(
            tumbling="1m",
            by="d",
            aggregate={
                "n": count(),
                "celsius": mean("t"),
                "fahrenheit": mean("fahrenheit"),
                "humidity": mean("h"),
                "worst_rssi": min("rssi"),
            },
        )
        .sink(
            es.Postgres(
                url="postgresql://garden@localhost/garden",
                password="${GARDEN_DB_PASSWORD:-}",
                table="garden",
            ),
            name="history",
            from_="minutes",
        )
        .sink(
            es.Redis(url="redis://localhost:6379", hash="garden:{d}", ttl="1h"),
            name="latest",
            from_="readings",
        )
    )


def replay() -> es.Pipeline:
    return (
        es.pipeline("replay")
        .source(es.File(path="readings.ndjson"), time="ts")
        .window(
            tumbling="1h",
            by="device",
            aggregate={"n": count(), "mean": mean("temperature")},
        )
        .sink(es.Stdout())
    )


def vehicle_sessions() -> es.Pipeline:
    return (
        es.pipeline("vehicle-sessions")
        .source(
            es.Mqtt(url=MQTT, topics=["fleet/{vehicle}/position"], group="trips"),
            time=es.Time("at", unit="iso8601", delay="10s"),
        )
        .window(
            session="5m",
            max="12h",
            by="vehicle",
            aggregate={
                "points": count(),
                "top_speed": max("speed"),
                "from_lat": first("lat"),
                "from_lng": first("lng"),
                "to_lat": last("lat"),
                "to_lng": last("lng"),
            },
        )
        .sink(es.Sqlite(path="trips.db", table="trips"))
    )


def webhook() -> es.Pipeline:
    return (
        es.pipeline("webhook")
        .source(
            es.Http(
                listen="127.0.0.1:8081", paths=["/ingest/{gateway}"], headers={"X-Site": "site"}
            ),
            name="gateways",
            time=es.Time("ts", unit="ms", delay="5s"),
        )
        .stream("readings", "gateways")
        .where("temperature > -60 and temperature < 150")
        .set(fahrenheit="temperature * 9 / 5 + 32", hot="temperature > 70")
        .stream("alarms", "readings")
        .where("hot")
        .select("ts", "site", "gateway", "device", "temperature")
        .sink(es.Sqlite(path="readings.db", table="readings"), name="history", from_="readings")
        .sink(es.FileSink(path="alarms.ndjson"), name="alarms_file", from_="alarms")
    )


def parcel_scans() -> es.Pipeline:
    table = str(ROOT / "pipelines" / "parcel_scanners.csv")
    return (
        es.pipeline("parcel-scans")
        .source(
            es.Http(listen="127.0.0.1:8082", paths=["/scans/{scanner}"]),
            name="scanners",
            time=es.Time("ts", unit="ms", delay="5s"),
        )
        .stream("placed", "scanners")
        .where("weight > 0")
        .step(es.Lookup(table, on="scanner", missing="reject"))
        .stream("strangers", "placed.rejected")
        .select("ts", "scanner", "parcel", "reason")
        .sink(es.FileSink(path="scans.ndjson.gz"), name="scans", from_="placed")
        .sink(es.FileSink(path="unknown-scanners.csv"), name="unknown", from_="strangers")
    )


def device_memory() -> es.Pipeline:
    return (
        es.pipeline("device-memory")
        .source(
            es.Mqtt(url=MQTT, topics=["meters/+/readings"]),
            time=es.Time("ts", unit="s", delay="5s", by="meter"),
        )
        .where("power >= 0")
        .window(tumbling="1m", by="meter", aggregate={"n": count(), "power": mean("power")})
        .sink(es.Sqlite(path="meters.db", table="minutes"))
    )
