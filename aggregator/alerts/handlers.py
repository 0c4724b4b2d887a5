"""The API of alerts: rules, their history, outlets; a small handler an operation. Every change is audited."""

from __future__ import annotations

import secrets
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from aggregator import schemas
from aggregator.alerts import answers
from aggregator.alerts.alerts import OUTLETS, RULES, Alerts, Sees
from aggregator.alerts.outlets import NamedOutlet, Webhook, new_secret
from aggregator.alerts.rules import Rule, RuleBody
from aggregator.auth import Refused
from aggregator.openapi import Route, answer
from aggregator.params import CENTRE, IDENTITY, bad, body_of, limit_of, record, span_of

_MOST_RULES = 500
_MOST_OUTLETS = 50
_STATES = ("open", "acknowledged", "snoozed", "closed")


def _alerts(request: web.Request) -> Alerts:
    return request.app[CENTRE].alerts


def _now() -> int:
    return int(time.time() * 1000)


# ── rules ─────────────────────────────────────────────────────────────────────────────────────────


async def rules(request: web.Request) -> web.Response:
    """Show all rules."""
    return answer(answers.Rules(await _alerts(request).rules()))


async def rule(request: web.Request) -> web.Response:
    """Show one rule."""
    return answer(await _rule_of(request))


async def add_rule(request: web.Request) -> web.Response:
    """Add a rule."""
    body = await body_of(request, RuleBody)
    if len(await _alerts(request).rules()) >= _MOST_RULES:
        raise Refused(409, "too_many", f"there are {_MOST_RULES} rules; widen one, or delete one")
    made = Rule(
        **msgspec.structs.asdict(body), id=secrets.token_hex(4), version=1, changed=_now(),
        changed_by=request[IDENTITY].user,
    )  # fmt: skip
    await _check_outlets(request, made)
    await _alerts(request).book.put(RULES, msgspec.to_builtins(made))
    await record(request, "add an alert rule", what=made.name, rule=made.id)
    return answer(made, 201)


async def change_rule(request: web.Request) -> web.Response:
    """Change parts of a rule."""
    patch = await body_of(request, answers.RulePatch)
    before = await _rule_of(request)
    fields = {
        name: value
        for name, value in msgspec.structs.asdict(patch).items()
        if value is not msgspec.UNSET and name != "version"
    }
    if patch.version not in (msgspec.UNSET, before.version):
        raise _changed(before)
    after = msgspec.structs.replace(
        before, **fields, version=before.version + 1, changed=_now(), changed_by=request[IDENTITY].user
    )
    await _check_outlets(request, after)
    if not await _alerts(request).book.put(RULES, msgspec.to_builtins(after), before.version):
        raise _changed(before)
    await record(request, "change an alert rule", what=after.name, rule=after.id)
    return answer(after)


def _changed(before: Rule) -> Refused:
    return Refused(
        409, "changed", f"{before.changed_by} has changed this rule meanwhile: read it again, then change it"
    )


async def delete_rule(request: web.Request) -> web.Response:
    """Delete a rule; its alerts are closed and stay in the history."""
    gone = await _rule_of(request)
    await _alerts(request).book.remove(RULES, gone.id)
    await record(request, "delete an alert rule", what=gone.name, rule=gone.id)
    return answer(schemas.Nothing())


async def test_rule(request: web.Request) -> web.Response:
    """Say what a rule would find now, and send a test message through its outlets."""
    one = await _rule_of(request)
    alerts = _alerts(request)
    verdict = await alerts.watch.look(one)
    matches = [answers.Match(*place, found.text) for place, found in sorted(verdict.found.items())]
    sent = [await alerts.test(name, one.name) for name in one.outlets]
    await record(request, "test an alert rule", what=one.name, rule=one.id)
    return answer(answers.Tested(matches[:100], len(verdict.unknown), sent))


async def _rule_of(request: web.Request) -> Rule:
    id_ = request.match_info["rule"]
    found = await _alerts(request).rule(id_)
    if found is None:
        raise Refused(404, "no_rule", f"there is no alert rule {id_[:40]!r}")
    return found


async def _check_outlets(request: web.Request, one: Rule) -> None:
    known = {outlet.id for outlet in await _alerts(request).outlets()}
    if unknown := sorted(set(one.outlets) - known):
        raise bad(f"outlets: there is no {unknown[0]!r}; make it with PUT /alerts/outlets/{unknown[0]}")


# ── what was found ────────────────────────────────────────────────────────────────────────────────


async def history(request: web.Request) -> web.Response:
    """Show alerts, the newest first."""
    since, until = span_of(request)
    query: dict[str, Any] = {"opened": {"$gte": since, "$lt": until}}
    states = [state for state in request.query.get("state", "").split(",") if state]
    if unknown := [state for state in states if state not in _STATES]:
        raise bad(f"state: {unknown[0][:40]!r} is none of {', '.join(_STATES)}")
    if states:
        query["state"] = {"$in": states}
    for name, key in (("rule", "rule"), ("node", "parts.node")):
        if value := request.query.get(name, ""):
            query[key] = value
    found = await _alerts(request).history(query, limit_of(request, 100), _sees(request))
    return answer(answers.History(found))


def _sees(request: web.Request) -> Sees | None:
    """Return who may be seen by the one who asks; None if that is everybody."""
    reach = request[IDENTITY].reach
    places = request.app[CENTRE].places
    return None if reach.whole else lambda node: bool(node) and places.sees(reach, node)


async def say(request: web.Request) -> web.Response:
    """Take an alert on, let it sleep, close it, or open it again."""
    patch = await body_of(request, answers.AlertPatch)
    id_ = request.match_info["alert"]
    user = request[IDENTITY].user
    at = _now()
    fields: dict[str, Any] = {"state": patch.state, "changed": at, "changed_by": user, "snoozed_until": 0}
    if patch.state == "snoozed":
        fields["snoozed_until"] = at + patch.minutes * 60_000
    elif patch.state == "closed":
        fields |= {"closed": at, "why": f"closed by {user}", "quiet": True}
    shown = await _alerts(request).history({"_id": id_}, 1, _sees(request))
    found = await _alerts(request).book.say(id_, fields) if shown else None
    if found is None:
        raise Refused(404, "no_alert", f"there is no alert {id_[:60]!r} that is not closed")
    await record(request, f"alert {patch.state}", what=id_)
    (after,) = await _alerts(request).history({"_id": id_}, 1, _sees(request))
    return answer(after)


# ── outlets ───────────────────────────────────────────────────────────────────────────────────────


async def outlets(request: web.Request) -> web.Response:
    """Show all outlets, without their secrets."""
    whole = request[IDENTITY].may("admin")
    return answer(answers.Outlets([_shown(one, whole) for one in await _alerts(request).outlets()]))


def _shown(one: NamedOutlet, whole: bool) -> NamedOutlet:
    """Return an outlet as it may be shown; `whole`: with the path of its address, which may be a secret."""
    if not isinstance(one.outlet, Webhook):
        return one
    parts = urlsplit(one.outlet.url)
    url = one.outlet.url if whole else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"
    return NamedOutlet(one.id, msgspec.structs.replace(one.outlet, url=url, secret=""))


async def put_outlet(request: web.Request) -> web.Response:
    """Make or change an outlet. The answer shows a webhook's secret, this once."""
    body = await body_of(request, answers.OutletBody)
    alerts = _alerts(request)
    one = _named(request, body)
    if why := alerts.sender.missing(one.outlet):
        raise bad(why)
    before = {other.id: other for other in await alerts.outlets()}
    if one.id not in before and len(before) >= _MOST_OUTLETS:
        raise Refused(409, "too_many", f"there are {_MOST_OUTLETS} outlets; delete one")
    if isinstance(one.outlet, Webhook) and not one.outlet.secret:
        one.outlet.secret = new_secret()
    await alerts.book.put(OUTLETS, msgspec.to_builtins(one))
    await record(request, "set an outlet of alerts", what=one.id)
    return answer(one)


def _named(request: web.Request, body: answers.OutletBody) -> NamedOutlet:
    content = {"id": request.match_info["outlet"], "outlet": msgspec.to_builtins(body.outlet)}
    try:
        return msgspec.convert(content, NamedOutlet)
    except msgspec.ValidationError:
        raise bad("an outlet's name has 1 to 32 of a-z, 0-9 and '-', not starting with '-'") from None


async def delete_outlet(request: web.Request) -> web.Response:
    """Delete an outlet that no rule uses."""
    name = request.match_info["outlet"]
    users = [one.name for one in await _alerts(request).rules() if name in one.outlets]
    if users:
        raise Refused(409, "in_use", f"the rule {users[0]!r} sends by it: take it out of the rule first")
    if not await _alerts(request).book.remove(OUTLETS, name):
        raise Refused(404, "no_outlet", f"there is no outlet {name[:40]!r}")
    await record(request, "delete an outlet of alerts", what=name)
    return answer(schemas.Nothing())


async def test_outlet(request: web.Request) -> web.Response:
    """Send a test message through an outlet; say how it was taken."""
    name = request.match_info["outlet"]
    if name not in {one.id for one in await _alerts(request).outlets()}:
        raise Refused(404, "no_outlet", f"there is no outlet {name[:40]!r}")
    sent = await _alerts(request).test(name, "A test of this outlet")
    await record(request, "test an outlet of alerts", what=name)
    return answer(sent)


_R = "/alerts/{rule}"
_O = "/alerts/outlets/{outlet}"
ALERT_ROUTES = (
    Route("GET", "/alerts/history", history, "What rules found", answer=answers.History,
          query=("state", "rule", "node", "from", "to", "limit")),
    Route("PATCH", "/alerts/history/{alert}", say, "Acknowledge, snooze, close an alert", "operator",
          answers.AlertRow, answers.AlertPatch),
    Route("GET", "/alerts/outlets", outlets, "Where messages go", "operator", answers.Outlets, whole=True),
    Route("PUT", _O, put_outlet, "Make or change an outlet", "admin", NamedOutlet, answers.OutletBody,
          whole=True),
    Route("DELETE", _O, delete_outlet, "Delete an outlet", "admin", schemas.Nothing, whole=True),
    Route("POST", _O + "/test", test_outlet, "Send a test message", "operator", answers.Sent, whole=True),
    Route("GET", "/alerts", rules, "All rules", answer=answers.Rules, whole=True),
    Route("POST", "/alerts", add_rule, "Add a rule", "operator", Rule, RuleBody, status=201,
          whole=True),
    Route("GET", _R, rule, "One rule", answer=Rule, whole=True),
    Route("PATCH", _R, change_rule, "Change a rule", "operator", Rule, answers.RulePatch, whole=True),
    Route("DELETE", _R, delete_rule, "Delete a rule; its alerts are closed", "operator", schemas.Nothing,
          whole=True),
    Route("POST", _R + "/test", test_rule, "What it finds now, and a test message", "operator",
          answers.Tested, whole=True),
)  # fmt: skip
