"""What other systems are told, each by a switch: Home Assistant, MQTT, Prometheus, webhooks."""
