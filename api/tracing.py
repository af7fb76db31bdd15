"""OpenTelemetry, when the environment names where spans go (`OTEL_EXPORTER_OTLP_ENDPOINT`); otherwise it is not loaded."""

import os
from typing import Any

VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def plugins() -> list[Any]:
    """Litestar's plugins for spans of requests: one or none."""
    if not any(os.environ.get(name) for name in VARIABLES):
        return []
    from litestar.plugins.opentelemetry import OpenTelemetryConfig, OpenTelemetryPlugin  # noqa: PLC0415  only when asked for
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  only when asked for
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  only when asked for
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  only when asked for
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  only when asked for

    provider = TracerProvider(
        resource=Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME", "lazi-api")})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return [OpenTelemetryPlugin(OpenTelemetryConfig(tracer_provider=provider))]
