import { useState } from "preact/hooks";
import { api } from "./api";
import { refresh, whoAmI } from "./session";

export function LoginForm() {
  const [withToken, setWithToken] = useState(true);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    setBusy(true);
    setProblem("");
    try {
      await api.login(
        withToken
          ? { token: text("token") }
          : { user: text("user"), password: String(form.get("password") ?? "") },
      );
      await whoAmI();
      await refresh();
    } catch (error) {
      setProblem(String((error as Error).message));
    } finally {
      setBusy(false);
    }
  };

  return (
    <form class="login panel" onSubmit={(event) => void submit(event)}>
      <h1>Log in</h1>
      {withToken ? (
        <label>
          Token
          <input
            name="token"
            type="password"
            autocomplete="current-password"
            required
            autofocus
            spellcheck={false}
          />
        </label>
      ) : (
        <>
          <label>
            User
            <input
              name="user"
              autocomplete="username"
              required
              autofocus
              spellcheck={false}
              autocapitalize="off"
            />
          </label>
          <label>
            Password
            <input name="password" type="password" autocomplete="current-password" required />
          </label>
        </>
      )}
      <p class="hint">
        {withToken ? "The administrator’s. At the centre this prints it:" : "At the centre this adds a user:"}{" "}
        <code>{withToken ? "gb-aggregator token" : "gb-aggregator add-user NAME"}</code>
      </p>
      <p class="problem" role="alert">
        {problem}
      </p>
      <div class="actions">
        <button class="primary" type="submit" disabled={busy}>
          Log in
        </button>
        <button class="link" type="button" onClick={() => setWithToken(!withToken)}>
          {withToken ? "Use a name and password" : "Use a token"}
        </button>
      </div>
    </form>
  );
}
