"""The messages between gateways and cloud: MQTT topics and UTF-8 JSON, one module a channel.

Every message carries `schema`, a whole number that grows only when an old reader could misunderstand
the message; unknown fields are ignored, so that a new field alone needs no new number. `examples/`
holds one golden message a channel and version. Times are integers of microseconds since 1970-01-01
UTC: one reading, no parser, exact. Quantities are integers of 10⁻⁶ stock units.
"""
