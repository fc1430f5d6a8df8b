// The windows of the users page: make a user, set a password, remove a user.

import { useState } from "preact/hooks";
import { ROLES, type Role } from "../../api/session";
import { createUser, removeUser, setPassword, type User } from "../../api/users";
import { useChange } from "../../lib/use-change";
import { useUi } from "../../ui/context";
import { Dialog } from "../../ui/dialog";
import { Field } from "../../ui/field";
import { ErrorNotice } from "../../ui/notice";
import { ROLE_TEXTS } from "./roles";

export const PASSWORD_CHARS_MIN = 12;
export const PASSWORD_CHARS_MAX = 256;

interface Props {
  done: () => void;
  close: () => void;
}

/** Buttons at the end of a window's form, below what went wrong. */
function Actions({ error, busy, words, danger, close }: {
  error: Error | null;
  busy: boolean;
  words: string;
  danger?: boolean;
  close: () => void;
}) {
  const { t } = useUi();
  return (
    <>
      {error !== null && <ErrorNotice error={error} />}
      <div class="dialog-actions">
        <button type="button" class="button" onClick={close}>
          {t("common.cancel")}
        </button>
        <button
          type="submit"
          class={danger ? "button danger" : "button primary"}
          data-testid="user-submit"
          disabled={busy}
        >
          {words}
        </button>
      </div>
    </>
  );
}

export function CreateUserDialog({ done, close }: Props) {
  const { t } = useUi();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [password, setPasswordText] = useState("");
  const change = useChange(() => createUser({ name, role, password }), done);
  return (
    <Dialog name="user-dialog" title={t("users.create")} close={close}>
      <form
        class="user-form"
        onSubmit={(event) => {
          event.preventDefault();
          change.start();
        }}
      >
        <Field words={t("users.name")}>
          <input
            type="text"
            name="name"
            autocomplete="off"
            spellcheck={false}
            required
            maxLength={100}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </Field>
        <Field words={t("users.role")} hint={t(ROLE_TEXTS[role].note)}>
          <select name="role" value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
            {ROLES.map((each) => (
              <option key={each} value={each}>
                {t(ROLE_TEXTS[each].name)}
              </option>
            ))}
          </select>
        </Field>
        <PasswordField words={t("users.password")} value={password} change={setPasswordText} />
        <Actions {...change} words={t("users.create")} close={close} />
      </form>
    </Dialog>
  );
}

interface PasswordFieldProps {
  words: string;
  value: string;
  change: (value: string) => void;
}

/** A new password; how long it has to be is said and asked for. */
export function PasswordField({ words, value, change }: PasswordFieldProps) {
  const { t } = useUi();
  return (
    <Field words={words} hint={t("users.password_hint", { count: PASSWORD_CHARS_MIN })}>
      <input
        type="password"
        name="new-password"
        autocomplete="new-password"
        required
        minLength={PASSWORD_CHARS_MIN}
        maxLength={PASSWORD_CHARS_MAX}
        value={value}
        onInput={(event) => change(event.currentTarget.value)}
      />
    </Field>
  );
}

export function PasswordDialog({ user, done, close }: Props & { user: User }) {
  const { t } = useUi();
  const [password, setPasswordText] = useState("");
  const change = useChange(() => setPassword(user.id, password), done);
  return (
    <Dialog name="password-dialog" title={t("users.password_of", { name: user.name })} close={close}>
      <form
        class="user-form"
        onSubmit={(event) => {
          event.preventDefault();
          change.start();
        }}
      >
        <p>{t("users.password_text")}</p>
        <PasswordField words={t("users.new_password")} value={password} change={setPasswordText} />
        <Actions {...change} words={t("users.set_password")} close={close} />
      </form>
    </Dialog>
  );
}

export function RemoveUserDialog({ user, done, close }: Props & { user: User }) {
  const { t } = useUi();
  const change = useChange(() => removeUser(user.id), done);
  return (
    <Dialog name="remove-dialog" title={t("users.remove_name", { name: user.name })} close={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change.start();
        }}
      >
        <p>{t("users.remove_text")}</p>
        <Actions {...change} words={t("users.remove")} danger close={close} />
      </form>
    </Dialog>
  );
}
