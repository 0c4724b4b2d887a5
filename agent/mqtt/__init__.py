"""The broker: its settings, and a connected client.

paho loads dnspython where it finds one, for SRV records, which nobody here asks for. That takes five
megabytes of a box, so it is not found while paho is loaded.
"""

import sys

if "dns" in sys.modules:
    import paho.mqtt.client
else:
    sys.modules["dns"] = None  # type: ignore[assignment]  # so importlib says that there is none
    try:
        import paho.mqtt.client  # noqa: F401
    finally:
        del sys.modules["dns"]
