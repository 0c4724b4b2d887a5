// The rules: a list with a test button each.
import { useEffect, useState } from "preact/hooks";
import { alertApi } from "./alert-api";
import type { Rule } from "./alert-types";
import type { Tested } from "./types";
import { RuleForm } from "./alert-form";
import { outletNames } from "./alert-outlets";
import { describe, draftOf, newDraft, type RuleDraft } from "./alert-words";
import type { ApiError } from "./api";
import { useCell } from "./cell";
import { login, mayEdit } from "./session";

function TestResult({ tested }: { tested: Tested }) {
  return (
    <div class="note" role="status" data-testid="tested">
      <p>
        {tested.matches.length === 0
          ? "Nothing matches this rule now."
          : `Now: ${tested.matches.map(({ text }) => text).join("; ")}`}
        {tested.unknown > 0 && ` No data for ${tested.unknown} places.`}
      </p>
      {tested.sent.map(({ outlet, ok, error }) => (
        <p key={outlet} class={ok ? "" : "problem"}>
          {outlet}: {ok ? "accepted the test message" : error}
        </p>
      ))}
    </div>
  );
}

function RuleItem({
  rule,
  may,
  onEdit,
  onDone,
}: {
  rule: Rule;
  may: boolean;
  onEdit: () => void;
  onDone: () => void;
}) {
  const [tested, setTested] = useState<Tested | null>(null);
  const [sure, setSure] = useState(false);
  const [problem, setProblem] = useState("");
  const failed = (error: ApiError) => setProblem(error.message);
  const toggle = () =>
    alertApi.change(rule.id, { enabled: !rule.enabled, version: rule.version }).then(onDone, failed);
  return (
    <li class="alert-item" data-testid="rule" data-severity={rule.enabled ? rule.severity : "off"}>
      <div class="row wrap">
        <h3>{rule.name}</h3>
        {!rule.enabled && <span class="faint">switched off</span>}
        <span class="grow" />
        <span class="faint">
          {rule.outlets.length ? `to ${rule.outlets.join(", ")}` : "on this page only"}
        </span>
      </div>
      <p class="faint note">{describe(rule)}</p>
      {may && (
        <div class="actions">
          <button type="button" onClick={() => void alertApi.test(rule.id).then(setTested, failed)}>
            Test
          </button>
          <button type="button" onClick={onEdit}>
            Change
          </button>
          <button type="button" onClick={() => void toggle()}>
            {rule.enabled ? "Switch off" : "Switch on"}
          </button>
          <button
            class={sure ? "danger" : ""}
            type="button"
            onClick={() => (sure ? void alertApi.remove(rule.id).then(onDone, failed) : setSure(true))}
          >
            {sure ? "Confirm delete" : "Delete"}
          </button>
        </div>
      )}
      {tested && <TestResult tested={tested} />}
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </li>
  );
}

export function Rules() {
  const may = mayEdit(useCell(login));
  const outlets = useCell(outletNames);
  const [rules, setRules] = useState<Rule[] | null>(null);
  const [draft, setDraft] = useState<RuleDraft | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    alertApi.rules().then(
      (found) => !gone && setRules(found),
      () => undefined, // who does not see the whole fleet is shown no rules
    );
    return () => {
      gone = true;
    };
  }, [turn]);
  if (!rules) return null;
  const again = () => {
    setDraft(null);
    setTurn((old) => old + 1);
  };
  return (
    <section class="panel alerts">
      <header class="row wrap">
        <h2>Rules</h2>
        <span class="grow" />
        {may && !draft && (
          <button type="button" onClick={() => setDraft(newDraft())} data-testid="new-rule">
            New rule
          </button>
        )}
      </header>
      {draft && <RuleForm draft={draft} outlets={outlets} onDraft={setDraft} onSaved={again} />}
      <ul>
        {rules.map((rule) => (
          <RuleItem
            key={`${rule.id} ${rule.version}`}
            rule={rule}
            may={may}
            onEdit={() => setDraft(draftOf(rule))}
            onDone={again}
          />
        ))}
        {rules.length === 0 && !draft && <li class="faint">No rules yet, so there are no alerts.</li>}
      </ul>
    </section>
  );
}
