// The requests of the alerts' page.
import { query, request } from "./api";
import type { AlertState, Outlet, Rule, RuleBody } from "./alert-types";
import type { AlertRow, NamedOutlet, TestSent, Tested } from "./types";

const rule = (id: string): string => `/alerts/${encodeURIComponent(id)}`;
const outlet = (name: string): string => `/alerts/outlets/${encodeURIComponent(name)}`;

export const alertApi = {
  history: async (state: string, limit: number) =>
    (await request<{ alerts: AlertRow[] }>("GET", `/alerts/history${query({ state, limit })}`)).alerts,
  say: (id: string, state: AlertState, minutes?: number) =>
    request<AlertRow>("PATCH", `/alerts/history/${encodeURIComponent(id)}`, {
      state,
      ...(minutes ? { minutes } : {}),
    }),
  rules: async () => (await request<{ rules: Rule[] }>("GET", "/alerts")).rules,
  add: (body: RuleBody) => request<Rule>("POST", "/alerts", body),
  change: (id: string, body: Partial<RuleBody> & { version: number }) =>
    request<Rule>("PATCH", rule(id), body),
  remove: (id: string) => request<unknown>("DELETE", rule(id)),
  test: (id: string) => request<Tested>("POST", `${rule(id)}/test`, {}),
  outlets: async () => (await request<{ outlets: NamedOutlet[] }>("GET", "/alerts/outlets")).outlets,
  putOutlet: (name: string, body: Outlet) => request<NamedOutlet>("PUT", outlet(name), { outlet: body }),
  removeOutlet: (name: string) => request<unknown>("DELETE", outlet(name)),
  testOutlet: (name: string) => request<TestSent>("POST", `${outlet(name)}/test`, {}),
};
