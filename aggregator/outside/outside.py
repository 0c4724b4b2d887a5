"""All that other systems are told by this aggregator; what is switched off has no task, but to take back."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from aggregator.alerts.outlets import Webhook, key_of
from aggregator.alerts.standing import ZonesNow
from aggregator.config import Config, ConfigError
from aggregator.fleet import Fleet
from aggregator.ingest import Fact
from aggregator.metrics import Metrics
from aggregator.outside.counters import Crossings
from aggregator.outside.crossings import CrossingHook
from aggregator.outside.home_assistant import HomeAssistant
from aggregator.outside.mirror import Mirror, Publish
from aggregator.store.store import Store


class Outside:
    """The ways out to other systems. `publish`: to the centre's broker. Raise ConfigError."""

    def __init__(
        self,
        config: Config,
        store: Store,
        fleet: Fleet,
        metrics: Metrics,
        publish: Publish,
        zones: ZonesNow,
    ) -> None:
        self._home_assistant = HomeAssistant(config, store.outside, store.leases, fleet, zones)
        self._mirror = Mirror(config.mirror.topic, publish, metrics) if config.mirror.enabled else None
        self._counters = Crossings(fleet) if config.prometheus.crossings else None
        if self._counters is not None:
            metrics.registry.register(self._counters)
        self._hook = _hook(config, store, metrics) if config.crossings.url else None

    def parts(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return what is to run for ever, by name."""
        found = {"home assistant": self._home_assistant.run()}
        if self._mirror is not None:
            found["mirror"] = self._mirror.run()
        if self._hook is not None:
            found["crossings out"] = self._hook.run()
        return found

    def stored_here(self, facts: Sequence[Fact]) -> None:
        """Take what this aggregator stored just now."""
        if self._mirror is not None:
            self._mirror.see(facts)
        if self._counters is not None:
            self._counters.see(facts)

    def stored(self, facts: Sequence[Fact]) -> None:
        """Take what this or another aggregator stored just now."""
        self._home_assistant.see(facts)


def _hook(config: Config, store: Store, metrics: Metrics) -> CrossingHook:
    section = config.crossings
    secret = config.secret(section.secret_file)
    try:
        key_of(secret)
    except ValueError as error:
        raise ConfigError(f"crossings.secret_file: {error}") from None
    hook = Webhook(section.url, secret)
    return CrossingHook(hook, section.keep_hours, store.archive, store.outside, store.leases, metrics)
